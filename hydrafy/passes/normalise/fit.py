"""Refuses what ONNX's inference lets pass: layers that do not fit their input, values too large."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.errors import ModelError
from hydrafy.ir.program import Program
from hydrafy.ir.titles import title
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass

LARGEST = 2**28
"""Numbers in one value for one image: a gigabyte of float32."""

WINDOWS = ("Conv", "MaxPool", "AveragePool")
NORMS = ("BatchNormalization", "InstanceNormalization")
LISTS = {
    "Slice": (1, 2, 3, 4), "Pad": (1, 3), "Reshape": (1,), "Squeeze": (1,), "Unsqueeze": (1,),
    "ReduceMean": (1,), "ReduceMax": (1,), "ReduceSum": (1,),
}  # fmt: skip
"""The inputs of an op, by place, that are lists of numbers."""


@dataclass(frozen=True)
class CheckFit(Pass):
    """Changes nothing. Behind it an analysis may trust windows, groups and per-channel weights."""

    name: ClassVar[str] = "check-fit"

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: naming the node, and what of it does not fit.
        """
        for node in program.graph:
            for fault in _faults(node):
                raise ModelError(f"{title(node)} ({node.op_type}) is malformed: {fault}")
        return []


def _faults(node: ir.Node) -> Iterator[str]:
    yield from _results(node)
    yield from _lists(node)
    source = node.inputs[0] if node.inputs else None
    if source is None or source.shape is None:
        return
    yield from _axis(node, len(source.shape))
    if node.op_type in WINDOWS:
        yield from _windows(node, len(source.shape) - 2)
    if node.op_type == "Conv":
        yield from _groups(node, source.shape)
    if node.op_type in NORMS:
        yield from _channels(node, source.shape)
    if node.op_type == "Slice":
        yield from _slice(node, source.shape)


def _results(node: ir.Node) -> Iterator[str]:
    for value in node.outputs:
        if value.uses() and (value.shape is None or value.dtype is None):
            yield "nothing tells the type and the shape of its result"
        if value.dtype == ir.DataType.STRING:
            yield "its result is text"
        sizes = list(value.shape or ())
        if not all(isinstance(size, int) for size in sizes[1:]):
            yield f"its result has the shape {value.shape}: all but the first must be fixed"
        known = [size for size in sizes if isinstance(size, int)]
        if any(size < 1 for size in known):
            yield f"its result has the shape {value.shape}, so nothing is in it"
        if math.prod(known) > LARGEST:
            yield f"its result has the shape {value.shape}: {LARGEST:,} numbers are the limit"


def _lists(node: ir.Node) -> Iterator[str]:
    for place in LISTS.get(node.op_type, ()):
        value = node.inputs[place] if place < len(node.inputs) else None
        if value is not None and value.shape is not None and len(value.shape) != 1:
            yield f"{value.name!r} of shape {value.shape} must be a list of numbers"


def _axis(node: ir.Node, rank: int) -> Iterator[str]:
    axis = node.attributes["axis"].as_int() if "axis" in node.attributes else 0
    if axis and not -rank <= axis < rank + (node.op_type == "Flatten"):
        yield f"its axis is {axis}, its input has {rank} dimensions"


def _slice(node: ir.Node, shape: ir.Shape) -> Iterator[str]:
    lists = [array for value in node.inputs[1:] if (array := constant(value)) is not None]
    if len({len(array) for array in lists}) > 1:
        yield f"its lists are of different lengths: {[array.tolist() for array in lists]}"
    axes = constant(node.inputs[3]) if len(node.inputs) > 3 else None
    if axes is not None and not all(-len(shape) <= axis < len(shape) for axis in axes):
        yield f"its axes are {axes.tolist()}, its input has the shape {shape}"


def _windows(node: ir.Node, rank: int) -> Iterator[str]:
    """Faults of strides and the like, one number for each spatial dimension, two for pads."""
    for name in ("kernel_shape", "strides", "dilations", "pads"):
        if name not in node.attributes:
            continue
        sizes = node.attributes[name].as_ints()
        wanted, least = (2 * rank, 0) if name == "pads" else (rank, 1)
        if len(sizes) != wanted or not all(least <= size < 2**31 for size in sizes):
            yield f"{name} is {list(sizes)}, which must be {wanted} numbers from {least} on"


def _groups(node: ir.Node, shape: ir.Shape) -> Iterator[str]:
    weight = node.inputs[1]
    if weight is None or weight.shape is None or not weight.shape.is_static():
        yield "the shape of its weight is not known"
        return
    kernel = weight.shape.numpy()
    groups = node.attributes["group"].as_int() if "group" in node.attributes else 1
    kernels = f"its weight of shape {list(kernel)}"
    if len(kernel) != len(shape) or groups < 1 or kernel[0] % groups:
        yield f"{kernels} has not {groups} groups for {shape}"
    elif isinstance(shape[1], int) and shape[1] != kernel[1] * groups:
        yield f"{kernels} takes {kernel[1] * groups} channels, not {shape[1]}"
    sizes = node.attributes["kernel_shape"].as_ints() if "kernel_shape" in node.attributes else ()
    if sizes and tuple(sizes) != tuple(kernel[2:]):
        yield f"kernel_shape is {list(sizes)}, {kernels} differs"
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is not None and bias.shape is not None and bias.shape != (kernel[0],):
        yield f"its bias has the shape {bias.shape}, {kernels} differs"


def _channels(node: ir.Node, shape: ir.Shape) -> Iterator[str]:
    if shape.rank() < 2:
        yield f"{shape} has no channels"
        return
    for value in node.inputs[1:]:
        if value is not None and value.shape is not None and value.shape != (shape[1],):
            yield f"{value.name!r} of shape {value.shape} has not one number for each channel"
