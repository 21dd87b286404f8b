"""Drops what only training needs: its outputs, what fed them, and its markers."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir.passes.common

from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class DropTraining(Pass):
    """Outputs with the role `training` go, and so does every node that only they used."""

    name: ClassVar[str] = "drop-training"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        manifest, graph = program.manifest, program.graph
        gone = [v for v in graph.outputs if manifest.role(v.name or "") == "training"]
        for value in gone:
            graph.outputs.remove(value)
        for node in list(graph):
            if node.domain == ops.DOMAIN and node.op_type in ops.MARKERS:
                source = node.inputs[0]
                assert source is not None
                node.outputs[0].replace_all_uses_with(source, replace_graph_outputs=True)
                graph.remove(node, safe=True)
        before = len(graph)
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        program.manifest = dataclasses.replace(
            manifest,
            outputs=tuple(o for o in manifest.outputs if o.role != "training"),
            losses=(),
        )
        if not gone:
            return []
        return [f"{len(gone)} training outputs and {before - len(graph)} nodes that fed them went"]
