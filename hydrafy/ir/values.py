"""What is known of a value without running anything: its constant array, its dimensions."""

import numpy as np
import onnx_ir as ir

from hydrafy.errors import ModelError


def is_constant(value: ir.Value) -> bool:
    """Whether a value is an initializer that nobody can override."""
    return value.const_value is not None and not value.is_graph_input()


def constant(value: ir.Value | None) -> np.ndarray | None:
    """The array of a value that is an initializer nobody can override; None for any other value."""
    if value is None or value.const_value is None or value.is_graph_input():
        return None
    return value.const_value.numpy()


def dims(value: ir.Value) -> tuple[int, ...]:
    """A value's dimensions without the first, which counts the samples.

    Raises:
        ModelError: a dimension is not known.
    """
    shape = value.shape
    if shape is None:
        raise ModelError(
            f"the shape of {value.name!r} is not known: run onnx shape inference on the file"
        )
    fixed = tuple(d for d in shape[1:] if isinstance(d, int))
    if len(fixed) != len(shape) - 1:
        raise ModelError(
            f"{value.name!r} has the shape {shape}: all but the first dimension must be fixed; "
            "export the network for one image size"
        )
    return fixed
