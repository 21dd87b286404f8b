"""Removes nodes that compute nothing at inference: Identity, Dropout, and what nobody reads."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir.passes.common

from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class RemoveIdentities(Pass):
    """Identity and Dropout nodes give way to their input; unused nodes and weights go."""

    name: ClassVar[str] = "remove-identities"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph = program.graph
        before = len(graph)
        for node in list(graph):
            if node.op_type not in ("Identity", "Dropout") or node.domain != "":
                continue
            source = node.inputs[0]
            if source is None or node.outputs[0].is_graph_output() or _mask_is_used(node):
                continue
            node.outputs[0].replace_all_uses_with(source)
            graph.remove(node, safe=True)
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        gone = before - len(graph)
        return [f"{gone} nodes that compute nothing went"] if gone else []


def _mask_is_used(node: onnx_ir.Node) -> bool:
    return any(v.uses() or v.is_graph_output() for v in node.outputs[1:])
