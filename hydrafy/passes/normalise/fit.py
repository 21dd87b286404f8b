"""Refuses what ONNX's inference lets pass: layers that do not fit their input, values too large."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.errors import ModelError
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass

LARGEST = 2**28
"""Numbers in one value for one image: a gigabyte of float32."""


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
            source = node.inputs[0] if node.inputs else None
            shape = None if source is None else source.shape
            faults = list(_results(node))
            if shape is not None and node.op_type in ("Conv", "MaxPool", "AveragePool"):
                faults += _windows(node, len(shape) - 2)
            if shape is not None and node.op_type == "Conv":
                faults += _groups(node, shape)
            if shape is not None and node.op_type in (
                "BatchNormalization",
                "InstanceNormalization",
            ):
                faults += _channels(node, shape)
            if faults:
                raise ModelError(f"node {node.name!r} ({node.op_type}) is malformed: {faults[0]}")
        return []


def _results(node: ir.Node) -> Iterator[str]:
    for value in node.outputs:
        if value.uses() and (value.shape is None or value.dtype is None):
            yield "nothing tells the type and the shape of its result"
        if value.dtype == ir.DataType.STRING:
            yield "its result is text"
        known = [d for d in value.shape or () if isinstance(d, int)]
        if any(size < 1 for size in known):
            yield f"its result has the shape {value.shape}, so nothing is in it"
        if math.prod(known) > LARGEST:
            yield f"its result has the shape {value.shape}: {LARGEST:,} numbers are the limit"


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
    kernel = None if weight is None or weight.shape is None else weight.shape.numpy()
    groups = node.attributes["group"].as_int() if "group" in node.attributes else 1
    if kernel is None:
        return
    title = f"its weight of shape {list(kernel)}"
    if len(kernel) != len(shape) or groups < 1 or kernel[0] % groups:
        yield f"{title} has not {groups} groups for {shape}"
    elif isinstance(shape[1], int) and shape[1] != kernel[1] * groups:
        yield f"{title} takes {kernel[1] * groups} channels, not {shape[1]}"
    sizes = node.attributes["kernel_shape"].as_ints() if "kernel_shape" in node.attributes else ()
    if sizes and tuple(sizes) != tuple(kernel[2:]):
        yield f"kernel_shape is {list(sizes)}, {title} differs"
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is not None and bias.shape is not None and bias.shape != (kernel[0],):
        yield f"its bias has the shape {bias.shape}, {title} differs"


def _channels(node: ir.Node, shape: ir.Shape) -> Iterator[str]:
    for value in node.inputs[1:]:
        if value is not None and value.shape is not None and value.shape != (shape[1],):
            yield f"{value.name!r} of shape {value.shape} has not one number for each channel"
