"""Leaves broadcasting to the ops that do it by themselves."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass

BROADCAST = frozenset({"Add", "Div", "Mul", "Pow", "Sub"})


@dataclass(frozen=True)
class DropExpands(Pass):
    """An Expand goes where each reader broadcasts to the same shape without it."""

    name: ClassVar[str] = "drop-expands"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, count = program.graph, 0
        for node in [n for n in graph if n.op_type == "Expand" and n.domain == ""]:
            source, out = node.inputs[0], node.outputs[0]
            if source is None or out.is_graph_output():
                continue
            if all(_broadcasts(user, out) for user in out.consumers()):
                out.replace_all_uses_with(source)
                graph.remove(node, safe=True)
                count += 1
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        return [f"{count} Expands that broadcasting does went"] if count else []


def _broadcasts(node: ir.Node, expanded: ir.Value) -> bool:
    others = [v for v in node.inputs if v is not expanded]
    if node.op_type not in BROADCAST or node.domain != "" or len(others) != 1:
        return False
    return others[0] is not None and _sizes(others[0]) == _sizes(expanded) != []


def _sizes(value: ir.Value) -> list[object]:
    """The dimensions of a value; an open first one counts the images, by whatever name."""
    sizes: list[object] = list(value.shape) if value.shape is not None else []
    return ["N", *sizes[1:]] if sizes and not isinstance(sizes[0], int) else sizes
