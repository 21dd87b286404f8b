"""Takes all columns of a decision for one image at once, where each would be gathered by itself."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.analysis.predication.predicates import column
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class SplitColumns(Pass):
    """Gathers of the columns of `[1, columns]`, predicates of Ifs, become one Split in each region.

    It is one node instead of many; of a single column, none. Where there are several Gathers from
    one value of fixed shape, onnxruntime (1.31) makes a Split of them itself, but one of floats,
    and then refuses to load it.
    """

    name: ClassVar[str] = "split-columns"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        notes: list[str] = []
        for graph in list(program.model.graphs()):
            gathers = dict[ir.Value, dict[ir.Node, int]]()
            for node in graph:
                found = column(node.outputs[0])
                conditions = (u.node.op_type == "If" and u.idx == 0 for u in node.outputs[0].uses())
                if found is not None and all(conditions) and not node.outputs[0].is_graph_output():
                    gathers.setdefault(found[0], {})[node] = found[1]
            for matrix, columns in gathers.items():
                _split(graph, matrix, columns)
                notes.append(f"{len(columns)} columns of {matrix.name!r} are split at once")
        return notes


def _split(graph: ir.Graph, matrix: ir.Value, columns: dict[ir.Node, int]) -> None:
    (count,) = dims(matrix)
    if count == 1:
        for node in columns:
            node.outputs[0].replace_all_uses_with(matrix)
            graph.remove(node, safe=True)
        return
    first = next(iter(columns))  # other regions may split the same
    names = [f"{first.name}.column.{number}" for number in range(count)]
    split = build.op(
        "Split", [matrix], f"{first.name}.columns", outputs=names, axis=1, num_outputs=count
    )
    graph.insert_before(first, split)
    for node, number in columns.items():
        node.outputs[0].replace_all_uses_with(split.outputs[number])
        graph.remove(node, safe=True)
