import pytest

from hydrafy.errors import ModelError
from hydrafy.train.importer import to_torch
from tests.train.programs import agree, single

WINDOWS = [
    {"kernel_shape": [3, 3]},
    {"kernel_shape": [3, 2], "strides": [2, 2]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]},
    {"kernel_shape": [2, 2], "pads": [1, 0, 0, 1]},
    {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
    {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1},
    {"kernel_shape": [3, 3], "strides": [2, 3], "pads": [1, 0, 0, 1], "ceil_mode": 1},
]


@pytest.mark.parametrize("attributes", WINDOWS)
def test_max_pool_agrees_with_onnxruntime(attributes: dict) -> None:
    agree(single("MaxPool", (3, 9, 10), **attributes))


def test_max_pool_with_dilations() -> None:
    agree(single("MaxPool", (3, 9, 8), kernel_shape=[3, 2], dilations=[2, 3], pads=[1, 1, 1, 1]))


@pytest.mark.parametrize("count_pads", [0, 1])
@pytest.mark.parametrize("attributes", WINDOWS)
def test_average_pool_agrees_with_onnxruntime(attributes: dict, count_pads: int) -> None:
    agree(single("AveragePool", (3, 9, 10), count_include_pad=count_pads, **attributes))


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_pools_over_one_and_three_axes(kind: str) -> None:
    agree(single(kind, (3, 9), kernel_shape=[3], strides=[2], pads=[1, 1]))
    agree(single(kind, (3, 5, 4, 6), kernel_shape=[3, 2, 2], pads=[1, 0, 0, 1, 0, 0]))


@pytest.mark.parametrize("kind", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_pools(kind: str) -> None:
    agree(single(kind, (3, 5, 4)))
    agree(single(kind, (3, 5)))


def test_a_dilated_average_pool_is_refused() -> None:
    program = single("AveragePool", (3, 9, 9), kernel_shape=[2, 2], dilations=[2, 2], opset=19)
    with pytest.raises(ModelError, match="dilations"):
        to_torch(program)
