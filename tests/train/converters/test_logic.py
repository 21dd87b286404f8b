import numpy as np
import pytest

from hydrafy.ir import ops
from tests.train.programs import Sketch, agree, single


@pytest.mark.parametrize("kind", sorted(ops.COMPARISONS))
@pytest.mark.parametrize("other", [np.float32(0.1), np.zeros((1, 3, 1, 1), np.float32)])
def test_comparisons_agree_with_onnxruntime(kind: str, other: np.ndarray) -> None:
    agree(single(kind, (3, 4, 4), np.asarray(other)))


@pytest.mark.parametrize("kind", sorted(ops.COMPARISONS))
def test_equal_numbers_are_compared_alike(kind: str) -> None:
    s = Sketch()
    agree(s.program(s.op(kind, [s.x, s.op("Identity", [s.x], "same")], "y")))


@pytest.mark.parametrize("kind", sorted(ops.LOGIC - {"Not"}))
def test_logic_agrees_with_onnxruntime(kind: str) -> None:
    s = Sketch()
    limits = s.weight("low", np.float32(-0.5)), s.weight("high", np.float32(0.5))
    low, high = (s.op("Less", [s.x, limit], f"below_{limit.name}") for limit in limits)
    agree(s.program(s.op(kind, [low, s.op("Not", [high], "not_high")], "y")))
