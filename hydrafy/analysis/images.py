"""The images that a program takes: their shape, and how its input orders their axes."""

import onnx_ir as ir

from hydrafy.analysis.layout import TO_NHWC, layout
from hydrafy.errors import ModelError
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims

AS_THEY_ARE = (0, 1, 2, 3)


def image_shape(program: Program) -> tuple[int, int, int]:
    """(C, H, W) of the images that a program takes, whatever the layout of its input.

    Raises:
        ModelError: it takes something else.
    """
    inputs = program.data_inputs
    if len(inputs) != 1:
        have = ", ".join(repr(v.name) for v in inputs) or "none"
        raise ModelError(f"the network must take one input, images, but its inputs are: {have}")
    shape = dims(inputs[0])
    if len(shape) != 3 or inputs[0].dtype != ir.DataType.FLOAT:
        raise ModelError(
            f"input {inputs[0].name!r} is {inputs[0].dtype} {inputs[0].shape}: float images "
            "[N, channels, height, width] are needed"
        )
    whole = (0, *shape)
    _, channels, height, width = (whole[axes(program).index(axis)] for axis in AS_THEY_ARE)
    return channels, height, width


def axes(program: Program) -> tuple[int, ...]:
    """The permutation that brings images [N, C, H, W] to the layout of a program's input."""
    return TO_NHWC if layout(program) == "NHWC" else AS_THEY_ARE
