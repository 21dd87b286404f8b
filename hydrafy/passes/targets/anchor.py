"""Lets a region begin in onnxruntime's blocked layout, so that its sums are fused."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass

BLOCK = 16  # channels in the largest block that onnxruntime has


@dataclass(frozen=True)
class AnchorRegions(Pass):
    """An image that a region's sum reads from outside goes through a MaxPool of one place first.

    onnxruntime fuses a convolution with the sum and the activation behind it where all operands
    are in its blocked layout, and those from outside never are. A MaxPool of kernel 1 changes
    nothing, and its result is blocked: one pass over the image instead of two or three.
    """

    name: ClassVar[str] = "anchor-regions"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        count = 0
        for graph in list(_regions(program.graph)):
            for value in _entering(graph):
                _anchor(graph, value)
                count += 1
        return [f"{count} images enter regions in the blocked layout"] if count else []


def _regions(graph: ir.Graph) -> Iterator[ir.Graph]:
    for node in graph:
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                yield attribute.as_graph()
                yield from _regions(attribute.as_graph())


def _entering(graph: ir.Graph) -> list[ir.Value]:
    """The images from outside that are convolved, and that a convolution's result is added to."""
    sums = [node for node in graph if node.op_type == "Add"]
    pairs = [(a, b) for node in sums for a, b in (node.inputs, node.inputs[::-1])]
    added = (v for v, other in pairs if v is not None and _is_convolved(other, graph))
    found = dict.fromkeys(v for v in added if _is_outer(v, graph) and _fills_blocks(v))
    return [
        v for v in found if any(n.op_type == "Conv" and n.graph is graph for n in v.consumers())
    ]


def _is_outer(value: ir.Value, graph: ir.Graph) -> bool:
    """Whether a value comes from outside of a region, or is some rows of one that does."""
    node = value.producer()
    if node is None:
        return False
    return node.graph is not graph or node.op_type == "GatherND"


def _is_convolved(value: ir.Value | None, graph: ir.Graph) -> bool:
    node = value.producer() if value is not None else None
    return node is not None and node.graph is graph and node.op_type == "Conv"


def _fills_blocks(value: ir.Value) -> bool:
    """Whether a value is an image whose channels fill whole blocks."""
    shape = value.shape
    if shape is None or shape.rank() != 4 or not isinstance(shape[1], int):
        return False
    return shape[1] % BLOCK == 0


def _anchor(graph: ir.Graph, value: ir.Value) -> None:
    name = f"{graph.name}.{value.name}.anchor"
    anchor = build.op("MaxPool", [value], name, kernel_shape=[1, 1])
    anchor.outputs[0].shape = value.shape
    users = [node for node in graph if value in node.inputs]
    for node in users:
        for place, used in enumerate(node.inputs):
            if used is value:
                node.replace_input_with(place, anchor.outputs[0])
    graph.insert_before(users[0], anchor)
