import numpy as np
import pytest

from hydrafy.errors import ModelError
from hydrafy.train.importer import to_torch
from tests.train.programs import agree, single


@pytest.mark.parametrize("perm", [[0, 2, 3, 1], [0, 1, 3, 2], [3, 0, 1, 2]])
def test_transpose_agrees_with_onnxruntime(perm: list[int]) -> None:
    agree(single("Transpose", (3, 5, 4), perm=perm))


def test_a_transpose_without_an_order_turns_it_round() -> None:
    agree(single("Transpose", (3, 5, 4)))


@pytest.mark.parametrize("axes", [[2, 3], [-1], [3, 1]])
def test_squeeze_agrees_with_onnxruntime(axes: list[int]) -> None:
    agree(single("Squeeze", (1, 1, 1), np.array(axes)))


@pytest.mark.parametrize("axes", [[1], [2, 3], [-1, 1], [4, -4]])
def test_unsqueeze_agrees_with_onnxruntime(axes: list[int]) -> None:
    agree(single("Unsqueeze", (3, 5), np.array(axes)))


def test_a_squeeze_of_any_axes_is_refused() -> None:
    with pytest.raises(ModelError, match="it names no axes"):
        to_torch(single("Squeeze", (3, 1, 1)))
