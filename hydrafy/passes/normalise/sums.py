"""Writes a Sum as Adds of two values, or as the one value that it is of."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass
from hydrafy.passes.normalise.replace import drop


@dataclass(frozen=True)
class AddPairs(Pass):
    """`Sum(a, b)` becomes `Add(a, b)`; what was computed first of more values is added last.

    So a shortcut stays an operand of the last Add, the block's result.
    """

    name: ClassVar[str] = "add-pairs"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph = program.graph
        age = {v: age for age, node in enumerate(graph) for v in node.outputs}
        sums = [node for node in graph if node.op_type == "Sum" and node.domain == ""]
        for node in sums:
            values = [v for v in node.inputs if v is not None]
            if len(values) > 1:
                values.sort(key=lambda v: age.get(v, -1), reverse=len(values) > 2)
                _add(graph, node, values)
            elif not drop(node, values[0]):
                node.op_type = "Identity"  # an output that repeats another, or the input
        added = sum(len(node.inputs) > 1 for node in sums)
        notes = [f"{added} Sums became Adds"] if added else []
        lone = len(sums) - added
        return [*notes, f"{lone} Sums of one value went"] if lone else notes


def _add(graph: ir.Graph, node: ir.Node, values: list[ir.Value]) -> None:
    """Makes a Sum the last of the Adds of `values`, the first two of which are added first."""
    while len(values) > 2:
        partial = build.op("Add", values[:2], f"{node.outputs[0].name}.partial{len(values)}")
        graph.insert_before(node, partial)
        values[:2] = partial.outputs
    node.op_type = "Add"
    node.resize_inputs(2)
    for place, value in enumerate(values):
        node.replace_input_with(place, value)
