"""Compact: a region with a per-sample predicate runs on the rows that need it, gathered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.analysis.need import SHARE
from hydrafy.analysis.rows import is_batched
from hydrafy.ir import build, ops
from hydrafy.ir.program import Program, constant, dims
from hydrafy.passes.base import Pass
from hydrafy.passes.lower.sink import ROW_IF

INT64 = int(ir.DataType.INT64)


@dataclass(frozen=True)
class Compact(Pass):
    """Turns every RowIf into Ifs that standard ONNX knows.

    A sum of RowIfs with nothing on their other sides becomes, for all of them at once: the picked
    (region, row) pairs in the order of regions, one If a region that gathers its rows and runs,
    and one ScatterND a region that adds what it returned in place. (A single ScatterND over all
    pairs would be a race: onnxruntime adds to the same row from several threads.) Guarded by
    `any`, a region that no row needs does not run; an empty batch runs none.
    """

    name: ClassVar[str] = "compact"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        notes: list[str] = []
        for graph in list(program.model.graphs()):
            for node in list(graph):
                if node.op_type == "Sum" and all(_adds_nothing_else(v) for v in node.inputs):
                    notes.append(_sum(graph, node))
            for node in list(graph):
                if node.op_type == ROW_IF and node.domain == ops.DOMAIN:
                    notes.append(_single(graph, node))
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        return notes


class _Builder:
    """Adds nodes before a place in a graph, and constants to the main graph."""

    def __init__(self, graph: ir.Graph, before: ir.Node, prefix: str) -> None:
        self.graph, self.before, self.prefix = graph, before, prefix

    def const(self, name: str, array: object) -> ir.Value:
        return build.weight(self.graph, f"{self.prefix}.{name}", np.asarray(array))

    def op(
        self, op_type: str, inputs: Sequence[ir.Value | None], name: str, **attributes: object
    ) -> ir.Value:
        node = build.op(op_type, inputs, f"{self.prefix}.{name}", **attributes)
        self.graph.insert_before(self.before, node)
        return node.outputs[0]

    def split(self, x: ir.Value, parts: ir.Value | None, names: list[str]) -> list[ir.Value]:
        full = [f"{self.prefix}.{name}" for name in names]
        node = build.op("Split", [x, parts], full[0] + ".split", outputs=full, axis=0,
                        **({} if parts is not None else {"num_outputs": len(names)}))
        self.graph.insert_before(self.before, node)
        return list(node.outputs)


def _adds_nothing_else(value: ir.Value | None) -> bool:
    node = value.producer() if value is not None else None
    if node is None or node.op_type != ROW_IF or len(node.outputs[0].uses()) != 1:
        return False
    pred, other = node.inputs[0], constant(node.inputs[2])
    nothing = other is not None and other.size == 1 and not other.any()
    return nothing and "a" in node.attributes and pred is not None and is_batched(pred)


def _sum(graph: ir.Graph, total: ir.Node) -> str:
    regions = [v.producer() for v in total.inputs if v is not None]
    row_ifs = [node for node in regions if node is not None]
    b = _Builder(graph, total, total.name or "sum")
    picked = _picked(b, [node.inputs[0] for node in row_ifs])
    turned = b.op("Transpose", [picked], "by_region", perm=[1, 0])
    pairs = b.op("NonZero", [turned], "pairs")
    rows = b.op("Gather", [pairs, b.const("sample", np.array([1]))], "samples", axis=0)
    rows = b.op("Transpose", [rows], "rows", perm=[1, 0])
    numbers = b.op("Cast", [turned], "numbers", to=INT64)
    counts = b.op("ReduceSum", [numbers, b.const("axis", np.array([1]))], "counts", keepdims=0)
    some = b.op("Cast", [counts], "some", to=int(ir.DataType.BOOL))
    order = range(len(row_ifs))
    mine = b.split(rows, counts, [f"rows.{i}" for i in order])
    any_ = b.split(some, None, [f"any.{i}" for i in order])
    result = _zeros(b, picked, dims(total.outputs[0]))
    for i, node in enumerate(row_ifs):
        guarded = _guarded(node, mine[i], any_[i])
        graph.insert_before(total, guarded)
        inputs = [result, mine[i], guarded.outputs[0]]
        result = b.op("ScatterND", inputs, f"plus.{i}", reduction="add")
    _replace(graph, total, result)
    graph.remove(row_ifs, safe=True)
    return f"{total.name!r}: {len(row_ifs)} regions run on their own rows, results are added up"


def _picked(b: _Builder, preds: list[ir.Value | None]) -> ir.Value:
    """The predicates as columns of one bool matrix [N, regions]."""
    columns = [_column(v) for v in preds]
    sources = {id(c[0]): c[0] for c in columns if c is not None}
    if len(sources) == 1 and None not in columns:
        source = next(iter(sources.values()))
        wanted = [c[1] for c in columns if c is not None]
        width = source.shape[1] if source.shape is not None else None
        if wanted == list(range(len(wanted))) and width == len(wanted):
            return source
        return b.op("Gather", [source, b.const("columns", np.array(wanted))], "picked", axis=1)
    one = b.const("column", np.array([1]))
    tall = [b.op("Unsqueeze", [v, one], f"column.{i}") for i, v in enumerate(preds)]
    return b.op("Concat", tall, "picked", axis=1)


def _column(pred: ir.Value | None) -> tuple[ir.Value, int] | None:
    """The matrix and the column number that a predicate was gathered from."""
    node = pred.producer() if pred is not None else None
    if node is None or node.op_type != "Gather" or node.attributes["axis"].as_int() != 1:
        return None
    index = constant(node.inputs[1])
    source = node.inputs[0]
    if index is None or index.ndim or source is None:
        return None
    return source, int(index)


def _zeros(b: _Builder, like: ir.Value, row: tuple[int, ...]) -> ir.Value:
    size = b.op("Shape", [like], "size", start=0, end=1)
    shape = b.op("Concat", [size, b.const("row", np.array(row))], "shape", axis=0)
    node = build.op(
        "ConstantOfShape", [shape], f"{b.prefix}.zeros", value=ir.tensor(np.zeros(1, np.float32))
    )
    b.graph.insert_before(b.before, node)
    out = node.outputs[0]
    out.shape = ir.Shape([like.shape[0] if like.shape is not None else None, *row])
    return out


def _guarded(row_if: ir.Node, rows: ir.Value, any_: ir.Value) -> ir.Node:
    """`If(any) { the region on its rows } else { no rows }`."""
    inner = row_if.attributes["a"].as_graph()
    name = f"{row_if.name}.rows"
    result = inner.outputs[0]
    _gather_rows(inner, rows, name)
    nothing = np.zeros((0, *dims(result)), np.float32)
    empty = build.op("Constant", [], f"{row_if.name}.empty", value=ir.tensor(nothing))
    other = ir.Graph([], [empty.outputs[0]], nodes=[empty], name=f"{row_if.name}.none")
    row_if.attributes.pop("a")
    node = ir.Node(
        "",
        "If",
        [any_],
        [ir.AttrGraph("then_branch", inner), ir.AttrGraph("else_branch", other)],
        name=row_if.name,
    )
    out = node.outputs[0]
    out.name = f"{row_if.name}.result"
    out.type, out.shape = result.type, ir.Shape([name, *dims(result)])
    if SHARE in row_if.metadata_props:
        node.metadata_props[SHARE] = row_if.metadata_props[SHARE]
    return node


def _gather_rows(inner: ir.Graph, rows: ir.Value, name: str) -> None:
    """Lets a region read the gathered rows of every batched value that it takes from outside."""
    mine = {v for n in inner for v in n.outputs} | set(inner.initializers.values())
    outside = dict.fromkeys(
        v for n in inner for v in n.inputs if v is not None and v not in mine and is_batched(v)
    )
    for value in [v for n in inner for v in n.outputs]:
        if is_batched(value) and value.shape is not None:
            value.shape = ir.Shape([name, *list(value.shape)[1:]])
    first = inner[0]
    for number, value in enumerate(outside):
        gather = build.op("GatherND", [value, rows], f"{name}.{number}")
        gathered = gather.outputs[0]
        if value.shape is not None:
            gathered.shape = ir.Shape([name, *list(value.shape)[1:]])
        for node in list(inner):
            for place, used in enumerate(node.inputs):
                if used is value:
                    node.replace_input_with(place, gathered)
        inner.insert_before(first, gather)


def _single(graph: ir.Graph, node: ir.Node) -> str:
    raise NotImplementedError(node.name)


def _replace(graph: ir.Graph, node: ir.Node, value: ir.Value) -> None:
    old = node.outputs[0]
    name, old.name = old.name, f"{old.name}.replaced"
    old.replace_all_uses_with(value, replace_graph_outputs=True)
    value.name, value.shape = name, old.shape
    graph.remove(node, safe=True)
