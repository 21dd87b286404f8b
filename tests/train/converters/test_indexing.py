import numpy as np
import pytest
import torch

from tests.train.programs import Sketch, agree, single

LAST = np.iinfo(np.int64).max


@pytest.mark.parametrize(
    ("starts", "ends", "axes", "steps"),
    [
        ([0, 1], [LAST, 3], None, None),
        ([1, 0], [LAST, LAST], [2, 3], [2, 3]),
        ([-3], [-1], [-2], None),
        ([-100], [100], [1], [2]),
        ([2], [1], [1], None),
        ([-1], [-LAST], [3], [-2]),
        ([1], [4], [3], [-1]),
    ],
)
def test_slice_agrees_with_onnxruntime(starts: list, ends: list, axes: list, steps: list) -> None:
    rest = [None if v is None else np.array(v) for v in (starts, ends, axes, steps)]
    while rest[-1] is None:
        rest.pop()
    agree(single("Slice", (4, 6, 7), *rest))


@pytest.mark.parametrize("indices", [1, -1, [2], [0, -1, 1], [[0, 1], [2, 3]]])
@pytest.mark.parametrize("axis", [1, 2, -1])
def test_gather_agrees_with_onnxruntime(indices: int | list, axis: int) -> None:
    agree(single("Gather", (4, 6), np.array(indices), axis=axis))


def test_a_sliced_weight_learns_through_the_slice() -> None:
    s = Sketch(("N", 4))
    whole = s.random("whole", 6, 4)
    start, end = s.weight("start", np.array([0])), s.weight("end", np.array([3]))
    part = s.op("Slice", [whole, start, end], "part")
    module = agree(s.program(s.op("Gemm", [s.x, part], "y", transB=1)))
    module(torch.ones(2, 4))["y"].sum().backward()
    grad = module.get_parameter("whole").grad
    assert (grad[:3] == 2).all() and (grad[3:] == 0).all()
