import numpy as np
import pytest
import torch

from hydrafy.train.converters.shape import reshape
from tests.train.programs import Sketch, agree, single


@pytest.mark.parametrize("target", [[0, 24], [0, 2, 3, 4], [-1, 6, 4], [0, 0, 4, 1]])
def test_reshape_agrees_with_onnxruntime(target: list[int]) -> None:
    agree(single("Reshape", (6, 4), np.array(target)))


def test_reshape_infers_the_rest_of_a_row() -> None:
    agree(single("Reshape", (6, 4), np.array([0, -1])), sizes=(1, 5))  # onnxruntime refuses N = 0
    assert reshape(torch.zeros(0, 6, 4), (0, -1), False).shape == (0, 24)
    assert reshape(torch.zeros(0, 6, 4), (0, -1, 2), False).shape == (0, 12, 2)


def test_a_zero_that_is_allowed_is_a_size() -> None:
    agree(single("Reshape", (6, 4), np.array([0, 24]), allowzero=1), sizes=(0,))


@pytest.mark.parametrize("axis", [0, 1, 2, -1, 3])
def test_flatten_agrees_with_onnxruntime(axis: int) -> None:
    agree(single("Flatten", (3, 4), axis=axis))


@pytest.mark.parametrize("axis", [1, -1])
def test_concat_agrees_with_onnxruntime(axis: int) -> None:
    s = Sketch()
    agree(s.program(s.op("Concat", [s.x, s.op("Relu", [s.x], "r"), s.x], "y", axis=axis)))
