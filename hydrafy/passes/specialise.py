"""The static network that one fixed decision leaves: the oracle that a dynamic one is timed by."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.errors import ModelError
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class Specialise(Pass):
    """Replaces every Select by the side that the given decision takes for all samples.

    The gates are still computed, since the decisions stay outputs: what remains is exactly the
    work that the lowered network does for a sample with this decision.

    Args:
        decisions: for each decision output its values, bool [choices].
    """

    name: ClassVar[str] = "specialise"
    decisions: Mapping[str, np.ndarray]

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: a predicate is not a column of one of the decisions.
        """
        graph = program.graph
        for node in [node for node in graph if ops.is_select(node)]:
            chosen = node.inputs[1 if self._holds(node) else 2]
            assert chosen is not None
            node.outputs[0].replace_all_uses_with(chosen, replace_graph_outputs=True)
            graph.remove(node, safe=True)
        for node in list(graph):
            if node.op_type == "Sum":
                _drop_zeros(graph, node)
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        program.manifest = dataclasses.replace(program.manifest, rates=())
        return []

    def _holds(self, select: ir.Node) -> bool:
        pred = select.inputs[0]
        column = pred.producer() if pred is not None else None
        if column is not None and column.op_type == "Gather":
            source, index = column.inputs[0], constant(column.inputs[1])
            if source is not None and source.name in self.decisions and index is not None:
                return bool(self.decisions[source.name or ""][int(index)])
        raise ModelError(f"the predicate of {select.name!r} is not a column of a decision")


def _drop_zeros(graph: ir.Graph, total: ir.Node) -> None:
    kept = [v for v in total.inputs if (c := constant(v)) is None or c.size > 1 or c.any()]
    if len(kept) == len(total.inputs) or not kept:
        return
    fewer = ir.Node("", "Sum", kept, name=total.name)
    old, new = total.outputs[0], fewer.outputs[0]
    new.name, new.shape, new.type = old.name, old.shape, old.type
    old.name = f"{old.name}.all"
    graph.insert_before(total, fewer)
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    graph.remove(total, safe=True)
