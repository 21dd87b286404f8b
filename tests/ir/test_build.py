"""New nodes know their types and shapes at once, and copies leave their originals alone."""

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.errors import ModelError
from hydrafy.ir import build
from hydrafy.ir.text import text
from tests.train.programs import Sketch


def test_shapes_follow_inputs_attributes_and_small_constants() -> None:
    s = Sketch(("N", 3, 8, 8))
    y = s.op("Conv", [s.x, s.random("w", 5, 3, 3, 3)], "y", strides=[2, 2], pads=[1, 1, 1, 1])
    assert y.shape == ir.Shape(["N", 5, 4, 4])
    assert y.dtype == ir.DataType.FLOAT
    flat = s.op("Reshape", [y, s.weight("target", np.array([0, 80]))], "flat")
    assert flat.shape == ir.Shape(["N", 80])


def test_own_ops_have_the_shape_of_what_they_choose() -> None:
    s = Sketch(("N", 3, 8, 8))
    pred = ir.val("pred", ir.DataType.BOOL, ["N"])
    zero = s.weight("zero", np.array(0, np.float32))
    assert s.op("Select", [pred, s.x, zero], "y").shape == s.x.shape
    scores = ir.val("scores", ir.DataType.FLOAT, ["N", 7])
    picked = s.op("TopKGate", [scores, zero], "picked", k=2)
    assert (picked.dtype, picked.shape) == (ir.DataType.BOOL, ir.Shape(["N", 7]))


def test_two_weights_of_one_name_are_refused() -> None:
    s = Sketch()
    s.weight("w", np.zeros(3))
    with pytest.raises(ModelError, match="two weights would be named 'w'"):
        s.weight("w", np.zeros(3))


def test_copies_are_renamed_and_share_what_is_not_replaced() -> None:
    s = Sketch(("N", 2, 4, 4))
    y = s.op("Relu", [s.conv(s.x, "a", 2, 3)], "b")
    s.program(y)
    before = text(s.program())
    other = build.op("Relu", [s.x], "other")
    values = {s.x: other.outputs[0]}
    conv, relu = build.copy(list(s.graph), values, "copy.{}".format)
    assert (conv.name, conv.outputs[0].name) == ("copy.a", "copy.a")
    assert conv.inputs[0] is other.outputs[0]
    assert conv.inputs[1] is s.graph.initializers["a.weight"]
    assert relu.inputs[0] is conv.outputs[0] is values[s.graph[0].outputs[0]]
    assert conv.attributes["pads"].as_ints() == (1, 1, 1, 1)
    assert relu.outputs[0].shape == y.shape
    assert text(s.program()) == before


def test_a_copy_may_change_attributes_and_so_its_shape() -> None:
    s = Sketch(("N", 2, 4, 4))
    s.program(s.conv(s.x, "a", 2, 3))
    (twin,) = build.copy(
        list(s.graph), {}, "copy.{}".format, attributes={s.graph[0]: {"strides": [2, 2]}}
    )
    assert twin.outputs[0].shape == ir.Shape(["N", 2, 2, 2])
    assert "strides" not in s.graph[0].attributes


def test_a_pad_that_names_its_axes_keeps_the_names_of_the_others() -> None:
    s = Sketch(("N", 3, 8, 8))
    lists = {"pads": [1, 2, 1, 2], "axes": [2, -1], "rows": [1, 1], "first": [0]}
    v = {name: s.weight(name, np.array(numbers)) for name, numbers in lists.items()}
    assert s.op("Pad", [s.x, v["pads"], None, v["axes"]], "y").shape == ("N", 3, 10, 12)
    more = s.op("Pad", [s.x, v["rows"], None, v["first"]], "z").shape
    assert more is not None and not isinstance(more[0], int) and more[0] != "N"
