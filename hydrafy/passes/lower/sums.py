"""Compacts sums of regions, each with a per-sample predicate, all at once."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.analysis.predication.predicates import column
from hydrafy.analysis.rows import is_batched
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes.base import Pass
from hydrafy.passes.lower.regions import BOOL, INT64, Inserter, guarded, replace
from hydrafy.passes.lower.row_ifs import lone_region


@dataclass(frozen=True)
class CompactSums(Pass):
    """A Sum of RowIfs that have nothing on their other sides: the picked branches of a network.

    It becomes the (region, row) pairs in the order of the regions, one If a region that gathers
    its rows and runs, and one ScatterND a region that adds, in place, what came back. A single
    ScatterND over all pairs would be a race: onnxruntime adds to one row from several threads.
    A region that no row needs does not run; an empty batch runs none.
    """

    name: ClassVar[str] = "compact-sums"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        notes = [
            _sum(graph, node)
            for graph in list(program.model.graphs())
            for node in list(graph)
            if node.op_type == "Sum" and all(map(_is_picked_by_row, node.inputs))
        ]
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        return notes


def _is_picked_by_row(value: ir.Value | None) -> bool:
    node = lone_region(value)
    pred = node.inputs[0] if node is not None else None
    return pred is not None and is_batched(pred)


def _sum(graph: ir.Graph, total: ir.Node) -> str:
    row_ifs = [n for v in total.inputs if v is not None and (n := v.producer()) is not None]
    to = Inserter(graph, total, total.name or "sum")
    picked = _picked(to, [node.inputs[0] for node in row_ifs])
    turned = to.op("Transpose", [picked], "by_region", perm=[1, 0])
    pairs = to.op("NonZero", [turned], "pairs")
    samples = to.op("Gather", [pairs, to.const("sample", np.array([1]))], "samples", axis=0)
    rows = to.op("Transpose", [samples], "rows", perm=[1, 0])
    numbers = to.op("Cast", [turned], "numbers", to=INT64)
    counts = to.op("ReduceSum", [numbers, to.const("axis", np.array([1]))], "counts", keepdims=0)
    some = to.op("Cast", [counts], "some", to=BOOL)
    order = range(len(row_ifs))
    mine = to.split(rows, counts, [f"rows.{i}" for i in order])
    any_ = to.split(some, None, [f"any.{i}" for i in order])
    result = to.zeros(picked, dims(total.outputs[0]), "zeros")
    for i, node in enumerate(row_ifs):
        region = guarded(node, "a", mine[i], any_[i])
        graph.insert_before(total, region)
        inputs = [result, mine[i], region.outputs[0]]
        result = to.op("ScatterND", inputs, f"plus.{i}", reduction="add")
    replace(graph, total, result)
    graph.remove(row_ifs, safe=True)
    return f"{total.name!r}: {len(row_ifs)} regions run on their own rows, results are added up"


def _picked(to: Inserter, preds: list[ir.Value | None]) -> ir.Value:
    """The predicates as columns of one bool matrix [N, regions]."""
    columns = [column(v) for v in preds]
    wanted = [c[1] for c in columns if c is not None]
    sources = {c[0] for c in columns if c is not None}
    if len(sources) != 1 or len(wanted) != len(preds):
        axis = to.const("column", np.array([1]))
        tall = [to.op("Unsqueeze", [v, axis], f"column.{i}") for i, v in enumerate(preds)]
        return to.op("Concat", tall, "picked", axis=1)
    source = sources.pop()
    if wanted == list(range(len(wanted))) and dims(source) == (len(wanted),):
        return source
    return to.op("Gather", [source, to.const("columns", np.array(wanted))], "picked", axis=1)
