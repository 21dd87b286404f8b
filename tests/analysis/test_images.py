"""A program takes images of one shape, in the layout of its input."""

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.analysis.images import axes, image_shape
from hydrafy.errors import ModelError
from tests.train.programs import Sketch


def test_channels_first() -> None:
    s = Sketch(("N", 3, 5, 7))
    program = s.program(s.conv(s.x, "conv", 4, 3))
    assert (image_shape(program), axes(program)) == ((3, 5, 7), (0, 1, 2, 3))


def test_channels_last() -> None:
    s = Sketch(("N", 5, 7, 3))
    first = s.op("Transpose", [s.x], "first", perm=[0, 3, 1, 2])
    program = s.program(s.conv(first, "conv", 4, 3))
    assert image_shape(program) == (3, 5, 7)
    images = np.zeros((2, 3, 5, 7))
    assert images.transpose(axes(program)).shape == (2, 5, 7, 3)


@pytest.mark.parametrize("shape", [("N", 3), ("N", 3, 4, 5, 6)])
def test_what_is_no_image_is_refused(shape: tuple[int | str, ...]) -> None:
    s = Sketch(shape)
    with pytest.raises(ModelError, match="float images"):
        image_shape(s.program(s.op("Relu", [s.x], "y")))


def test_one_input_of_floats_is_needed() -> None:
    s = Sketch(("N", 3, 5, 7))
    s.x.type = ir.TensorType(ir.DataType.UINT8)
    y = s.op("Cast", [s.x], "y", to=int(ir.DataType.FLOAT))
    with pytest.raises(ModelError, match="float images"):
        image_shape(s.program(y))
    second = ir.Value(name="z", shape=s.x.shape, type=s.x.type)
    s.graph.inputs.append(second)
    with pytest.raises(ModelError, match="its inputs are: 'x', 'z'"):
        image_shape(s.program())
