"""Writes pooling over the whole image as the op that says so."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass
from hydrafy.passes.normalise.edit import integers
from hydrafy.passes.normalise.replace import swap

GLOBAL = {
    "AveragePool": "GlobalAveragePool",
    "MaxPool": "GlobalMaxPool",
    "ReduceMax": "GlobalMaxPool",
    "ReduceMean": "GlobalAveragePool",
}


@dataclass(frozen=True)
class GlobalPooling(Pass):
    """A mean or maximum over H and W, or over a window as large as the image, becomes global.

    A Flatten follows where the two axes were dropped.
    """

    name: ClassVar[str] = "global-pooling"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        notes = []
        for node in list(program.graph):
            source = node.inputs[0] if node.op_type in GLOBAL and node.domain == "" else None
            if source is None or len(source.shape or ()) != 4 or len(node.outputs) > 1:
                continue
            if _reduces_image(node) or _sees_image(node, source):
                notes.append(f"{node.op_type} {node.name!r} became {GLOBAL[node.op_type]}")
                _rewrite(program.graph, node, source)
        return notes


def _reduces_image(node: ir.Node) -> bool:
    axes = constant(node.inputs[1]) if len(node.inputs) > 1 else None
    return axes is not None and sorted(int(a) % 4 for a in axes) == [2, 3]


def _sees_image(node: ir.Node, source: ir.Value) -> bool:
    """Whether a pooling node has one window, the image."""
    sizes = list(source.shape or ())[2:]
    dilated = any(d != 1 for d in integers(node, "dilations", [1]))
    return (
        integers(node, "kernel_shape", []) == sizes
        and not any(integers(node, "pads", [0]))
        and node.attributes.get_string("auto_pad", "NOTSET") in ("NOTSET", "VALID")
        and not dilated
    )


def _rewrite(graph: ir.Graph, node: ir.Node, source: ir.Value) -> None:
    op_type, out = GLOBAL[node.op_type], node.outputs[0]
    if len(out.shape or ()) == 4:
        swap(node, op_type, [source])
        return
    pool = build.op(op_type, [source], f"{out.name}.pool")
    graph.insert_before(node, pool)
    swap(node, "Flatten", [pool.outputs[0]], axis=1)
