"""Sizes behind a pooled entry are those that shape inference gives, or none are given."""

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.analysis.pooling import pool_that_fits, sizes
from hydrafy.ir import build
from hydrafy.ir.values import dims
from tests.train.programs import Sketch


def pooled(s: Sketch, pool: int) -> dict[ir.Value, tuple[int, ...]]:
    """The sizes that ONNX's inference finds behind the pooled image."""
    nodes = list(s.graph)
    square = [pool, pool]
    entry = s.op("AveragePool", [s.x], "entry", kernel_shape=square, strides=square)
    values = {s.x: entry}
    build.copy(nodes, values, "copy.{}".format)
    return {v: dims(values[v])[1:] for v in (s.x, *(n.outputs[0] for n in nodes))}


@pytest.mark.parametrize("pool", [1, 2, 3])
@pytest.mark.parametrize("size", [(12, 12), (13, 9)])
def test_sizes_are_those_of_inference(pool: int, size: tuple[int, int]) -> None:
    s = Sketch(("N", 4, *size))
    y = s.op("Relu", [s.batchnorm(s.conv(s.x, "a", 4, 3), "bn")], "relu")
    wide = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 1, 1], "dilations": [1, 1]}
    y = s.op("MaxPool", [y], "max", ceil_mode=1, **wide)
    y = s.op("Conv", [y, s.random("w", 4, 4, 3, 3)], "dilated", dilations=[2, 1], pads=[2, 1, 2, 1])
    y = s.op("Pad", [y, s.weight("pads", np.array([0, 0, 1, 2, 0, 0, 0, 1]))], "pad")
    ends = [s.weight(f"slice{i}", np.array(a)) for i, a in enumerate([[1], [99], [3], [2]])]
    y = s.op("Slice", [y, *ends], "slice")
    gate = s.op("Sigmoid", [s.conv(s.op("GlobalAveragePool", [y], "g"), "c", 4, 1)], "gate")
    s.program(s.op("Mul", [y, gate], "y"))
    assert sizes(list(s.graph), s.x, pool) == pooled(s, pool)


def joined(*, stride: int, pool: int) -> Sketch:
    s = Sketch(("N", 4, 12, 12))
    way = s.op("AveragePool", [s.x], "way", kernel_shape=[pool] * 2, strides=[pool] * 2)
    conv = s.op("Conv", [s.x, s.random("w", 4, 4, 3, 3)], "c", pads=[1] * 4, strides=[stride] * 2)
    s.program(s.op("Add", [way, conv], "y"))
    return s


def test_paths_that_round_differently_do_not_fit() -> None:
    s = joined(stride=2, pool=2)
    assert pool_that_fits(list(s.graph), s.x, 2) == 2  # 12 -> 6 -> 3 on both
    assert pool_that_fits(list(s.graph), s.x, 4) == 1  # 12 -> 3 -> 1 and 2


@pytest.mark.parametrize("shape", [(4, 6, 6), (6, 6), (6,), (1, 4, 6, 6), (6, 1)])
def test_a_constant_image_does_not_fit(shape: tuple[int, ...]) -> None:
    s = Sketch(("N", 4, 6, 6))
    s.program(s.op("Add", [s.weight("image", np.ones(shape, np.float32)), s.x], "y"))
    assert pool_that_fits(list(s.graph), s.x, 2) == 1


@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 1, 1, 1), ()])
def test_a_constant_without_places_fits(shape: tuple[int, ...]) -> None:
    s = Sketch(("N", 4, 6, 6))
    s.program(s.op("Add", [s.x, s.weight("c", np.ones(shape, np.float32))], "y"))
    assert pool_that_fits(list(s.graph), s.x, 2) == 2


def test_an_entry_that_is_smaller_is_pooled_to_one() -> None:
    s = Sketch(("N", 4, 3, 5))
    s.program(s.op("Relu", [s.x], "y"))
    assert pool_that_fits(list(s.graph), s.x, 8) == 3


def test_a_window_that_finds_no_place_does_not_fit() -> None:
    s = Sketch(("N", 4, 6, 6))
    s.program(s.op("MaxPool", [s.x], "y", kernel_shape=[4, 4]))
    assert pool_that_fits(list(s.graph), s.x, 2) == 1


def test_an_image_that_is_turned_does_not_fit() -> None:
    """[N, C, H, W] of equal sizes becomes [N, H, W, C]: its last size is that of the channels."""
    s = Sketch(("N", 8, 8, 8))
    s.program(s.op("Transpose", [s.x], "y", perm=[0, 2, 3, 1]))
    assert pool_that_fits(list(s.graph), s.x, 2) == 1
