"""Writes a Sum as Adds of two values."""

from dataclasses import dataclass
from typing import ClassVar

from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


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
        sums = [n for n in graph if n.op_type == "Sum" and n.domain == "" and len(n.inputs) > 1]
        for node in sums:
            values = [v for v in node.inputs if v is not None]
            values.sort(key=lambda v: age.get(v, -1), reverse=len(values) > 2)
            while len(values) > 2:
                name = f"{node.outputs[0].name}.partial{len(values)}"
                partial = build.op("Add", values[:2], name)
                graph.insert_before(node, partial)
                values[:2] = partial.outputs
            node.op_type = "Add"
            node.resize_inputs(2)
            for place, value in enumerate(values):
                node.replace_input_with(place, value)
        return [f"{len(sums)} Sums became Adds"] if sums else []
