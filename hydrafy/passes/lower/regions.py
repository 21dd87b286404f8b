"""Regions in standard ONNX: an If around nodes that run on the gathered rows of a batch."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.predication.need import SHARE
from hydrafy.analysis.predication.predicates import note, noted
from hydrafy.analysis.rows import is_batched
from hydrafy.ir import build
from hydrafy.ir.values import dims

INT64 = int(ir.DataType.INT64)
BOOL = int(ir.DataType.BOOL)


class Inserter:
    """Adds nodes before a place in a graph, or at its end, all named with one prefix."""

    def __init__(self, graph: ir.Graph, before: ir.Node | None, prefix: str) -> None:
        self.graph, self.before, self.prefix = graph, before, prefix

    def const(self, name: str, array: object) -> ir.Value:
        """A constant of the graph."""
        return build.weight(self.graph, f"{self.prefix}.{name}", np.asarray(array))

    def op(
        self, op_type: str, inputs: Sequence[ir.Value | None], name: str, **attributes: Any
    ) -> ir.Value:
        """The result of a new node."""
        node = build.op(op_type, inputs, f"{self.prefix}.{name}", **attributes)
        self._insert(node)
        return node.outputs[0]

    def split(
        self, x: ir.Value, sizes: ir.Value | None, names: list[str], axis: int = 0
    ) -> list[ir.Value]:
        """`x` cut along an axis into parts of the given sizes, or of equal ones."""
        full = [f"{self.prefix}.{name}" for name in names]
        inputs = [x] if sizes is None else [x, sizes]
        equal: dict[str, Any] = {"num_outputs": len(full)} if sizes is None else {}
        node = build.op("Split", inputs, f"{full[0]}.split", outputs=full, axis=axis, **equal)
        self._insert(node)
        return list(node.outputs)

    def batch(self, like: ir.Value, row: tuple[int, ...], name: str) -> ir.Value:
        """The shape [N, *row], where N is the length of `like`."""
        size = self.op("Shape", [like], f"{name}.size", start=0, end=1)
        rest = self.const(f"{name}.row", np.array(row, np.int64))
        return self.op("Concat", [size, rest], f"{name}.shape", axis=0)

    def zeros(
        self, like: ir.Value, row: tuple[int, ...], name: str, typed: ir.Value | None = None
    ) -> ir.Value:
        """Zeros of the shape [N, *row], where N is the length of `like`; float32, or as `typed`."""
        shape = self.batch(like, row, name)
        kind = np.float32 if typed is None or typed.dtype is None else typed.dtype.numpy()
        value = ir.tensor(np.zeros(1, kind))
        out = self.op("ConstantOfShape", [shape], name, value=value)
        out.shape = ir.Shape([like.shape[0] if like.shape is not None else None, *row])
        return out

    def _insert(self, node: ir.Node) -> None:
        if self.before is None:
            self.graph.append(node)
        else:
            self.graph.insert_before(self.before, node)


def guarded(row_if: ir.Node, side: str, rows: ir.Value, some: ir.Value) -> ir.Node:
    """`If(some) { the region of this side, on its rows } else { no rows }`.

    Args:
        row_if: a RowIf, which loses this side.
        side: `a` or `b`.
        rows: int64 [P, 1], the rows that need the region.
        some: bool [] or [1], whether there is any. onnxruntime's blocked kernels cannot take an
            empty batch, so the guard is needed for more than speed.
    """
    inner = row_if.attributes[side].as_graph()
    row_if.attributes.pop(side)
    stem = f"{row_if.name}.{side}"
    _gather(inner, rows, f"{stem}.rows")
    empty = [_nothing(value, stem, place) for place, value in enumerate(inner.outputs)]
    none = ir.Graph([], [node.outputs[0] for node in empty], nodes=empty, name=f"{stem}.none")
    sides = [ir.AttrGraph("then_branch", inner), ir.AttrGraph("else_branch", none)]
    node = ir.Node("", "If", [some], sides, name=f"{stem}.if", num_outputs=len(empty))
    for place, (out, result) in enumerate(zip(node.outputs, inner.outputs, strict=True)):
        out.name, out.type, out.shape = numbered(f"{stem}.result", place), result.type, result.shape
    if SHARE in row_if.metadata_props:
        share = json.loads(row_if.metadata_props[SHARE])
        node.metadata_props[SHARE] = json.dumps(share if side == "a" else 1 - share)
    if (condition := noted(row_if)) is not None:
        note(node, condition if side == "a" else condition.negated())
    return node


def numbered(name: str, place: int) -> str:
    """A name for one of several results; the first one has no number."""
    return f"{name}.{place}" if place else name


def _nothing(like: ir.Value, stem: str, place: int) -> ir.Node:
    """No rows of a value."""
    assert like.dtype is not None
    array = ir.tensor(np.zeros((0, *dims(like)), like.dtype.numpy()))
    return build.op("Constant", [], numbered(f"{stem}.nothing", place), value=array)


def captured(inner: ir.Graph) -> list[ir.Value]:
    """The batched values that a region, and what is nested in it, reads from outside."""
    nodes = list(_all(inner))
    mine = {v for n in nodes for v in n.outputs}
    read = dict.fromkeys(v for n in nodes for v in n.inputs if v is not None and v not in mine)
    return [v for v in read if is_batched(v) and not v.is_initializer()]


def replace(graph: ir.Graph, node: ir.Node, *values: ir.Value) -> None:
    """Lets values take the places, names and shapes of a node's results; the node goes."""
    for old, value in zip(node.outputs, values, strict=True):
        name, old.name = old.name, f"{old.name}.replaced"
        old.replace_all_uses_with(value, replace_graph_outputs=True)
        value.name, value.shape, value.type = name, old.shape, old.type
    graph.remove(node, safe=True)


def _gather(inner: ir.Graph, rows: ir.Value, name: str) -> None:
    """Lets a region read the gathered rows of every batched value that it takes from outside.

    The rows get a dimension of that name: without one onnxruntime has no blocked layout for them.
    Rows that a region within the region gathered keep theirs: onnxruntime reuses memory by names.
    """
    nodes, outside, first = list(_all(inner)), captured(inner), inner[0]
    batch = {value.shape[0] for value in outside if value.shape is not None}
    for value in (v for n in nodes for v in n.outputs):
        if value.shape is not None and is_batched(value) and value.shape[0] in batch:
            value.shape = ir.Shape([name, *list(value.shape)[1:]])
    for number, value in enumerate(outside):
        gather = build.op("GatherND", [value, rows], f"{name}.{number}")
        gathered = gather.outputs[0]
        assert value.shape is not None
        gathered.shape = ir.Shape([name, *list(value.shape)[1:]])
        for node in nodes:
            for place, used in enumerate(node.inputs):
                if used is value:
                    node.replace_input_with(place, gathered)
        inner.insert_before(first, gather)


def _all(graph: ir.Graph) -> Iterator[ir.Node]:
    for node in graph:
        yield node
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                yield from _all(attribute.as_graph())
