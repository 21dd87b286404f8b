"""Writes Selects as choices between two computed values, for runtimes without control flow."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.rows import is_batched
from hydrafy.ir import build, ops
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class ChooseDensely(Pass):
    """`Select(pred, a, b)` becomes a `Where`: both sides are computed for every row.

    The body of the function Select finds the rank of its sides when it runs; here it is known.
    """

    name: ClassVar[str] = "choose-densely"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        selects = [node for node in program.graph if ops.is_select(node)]
        for node in selects:
            _choose(program.graph, node)
        program.manifest = dataclasses.replace(program.manifest, stage="regions", target="dense")
        return [f"{len(selects)} Selects compute both of their sides"] if selects else []


def _choose(graph: ir.Graph, select: ir.Node) -> None:
    pred, a, b = select.inputs
    assert pred is not None and a is not None and a.shape is not None
    if is_batched(pred):
        shape = np.array([-1] + [1] * (a.shape.rank() - 1))
        target = build.weight(graph, f"{select.name}.rows.shape", shape)
        rows = build.op("Reshape", [pred, target], f"{select.name}.rows")
        graph.insert_before(select, rows)
        pred = rows.outputs[0]
    chosen = build.op("Where", [pred, a, b], f"{select.name}.chosen")
    graph.insert_before(select, chosen)
    old, new = select.outputs[0], chosen.outputs[0]
    name, old.name = old.name, f"{old.name}.select"
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    new.name, new.shape, new.type = name, old.shape, old.type
    graph.remove(select, safe=True)
