import numpy as np
import pytest

from tests.train.programs import agree, single

KINDS = ["ReduceMean", "ReduceSum", "ReduceMax"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [[2, 3], [1]])
def test_reductions_agree_with_onnxruntime(kind: str, axes: list[int], keepdims: int) -> None:
    agree(single(kind, (3, 5, 4), np.array(axes), keepdims=keepdims))


def test_the_mean_over_the_last_axis() -> None:
    # onnxruntime forgets to drop the axis where there is no row
    agree(single("ReduceMean", (3, 5, 4), np.array([-1]), keepdims=0), sizes=(1, 5))


@pytest.mark.parametrize("kind", KINDS)
def test_without_axes_it_is_over_all_or_none(kind: str) -> None:
    agree(single(kind, (3, 5)), sizes=(1, 5))
    agree(single(kind, (3, 5), noop_with_empty_axes=1))
