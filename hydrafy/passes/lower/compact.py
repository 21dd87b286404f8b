"""Compact: a region with a per-sample predicate runs on the rows that need it, gathered."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.rows import is_batched
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes.base import Pass
from hydrafy.passes.lower.regions import Inserter, guarded, numbered, replace
from hydrafy.passes.lower.row_ifs import is_row_if, operands
from hydrafy.passes.lower.whole import whole_batch


@dataclass(frozen=True)
class Compact(Pass):
    """Turns every RowIf into Ifs that standard ONNX knows, the outer ones first.

    With a predicate [N], each side runs on its own rows and its results are put over the other's;
    with a predicate of one number, [] or [1], the RowIf is an If.
    """

    name: ClassVar[str] = "compact"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        notes: list[str] = []
        _graph(program.graph, notes)
        return notes


def _graph(graph: ir.Graph, notes: list[str]) -> None:
    for node in list(graph):
        if is_row_if(node):
            pred = node.inputs[0]
            rows = pred is not None and is_batched(pred)
            notes.append(_per_sample(graph, node) if rows else whole_batch(graph, node))
    for node in list(graph):
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                _graph(attribute.as_graph(), notes)


def _per_sample(graph: ir.Graph, node: ir.Node) -> str:
    sides, pred, name = operands(node), node.inputs[0], node.name
    assert pred is not None
    to = Inserter(graph, node, name or "select")
    found = [
        _base(to, pred, b, out, place)
        for place, (b, out) in enumerate(zip(sides["b"], node.outputs, strict=True))
    ]
    if "b" in node.attributes:
        found = _put(to, node, "b", to.op("Not", [pred], "not"), found)
    if "a" in node.attributes:
        found = _put(to, node, "a", pred, found)
    for place, a in enumerate(sides["a"]):
        if a is not None:
            row = dims(node.outputs[place])
            found[place] = _where(to, pred, a, found[place], row, place)
    replace(graph, node, *found)
    return f"{name!r}: its regions run on their own rows"


def _base(to: Inserter, pred: ir.Value, b: ir.Value | None, out: ir.Value, place: int) -> ir.Value:
    """What the rows of a result are where no region has put its own."""
    row = dims(out)
    if b is None:
        return to.zeros(pred, row, numbered("zeros", place), out)
    if b.shape == out.shape:
        return b
    name = numbered("other", place)
    return to.op("Expand", [b, to.batch(pred, row, name)], name)


def _where(
    to: Inserter,
    pred: ir.Value,
    a: ir.Value,
    other: ir.Value,
    row: tuple[int, ...],
    place: int,
) -> ir.Value:
    """Rows [N, *row] of a where `pred`, rows of another value elsewhere."""
    tall = to.const(numbered("pred.shape", place), np.array([-1] + [1] * len(row)))
    rows = to.op("Reshape", [pred, tall], numbered("pred", place))
    if other.dtype != ir.DataType.BOOL:
        return to.op("Where", [rows, a, other], numbered("chosen", place))
    chosen = to.op("And", [rows, a], numbered("chosen.a", place))  # onnxruntime has no such Where
    rest = to.op("Not", [rows], numbered("pred.not", place))
    left = to.op("And", [rest, other], numbered("chosen.b", place))
    return to.op("Or", [chosen, left], numbered("chosen", place))


def _put(
    to: Inserter, node: ir.Node, side: str, pred: ir.Value, onto: list[ir.Value]
) -> list[ir.Value]:
    """The region of one side on the rows where `pred`, put over those rows of what it returns."""
    places = [place for place, value in enumerate(operands(node)[side]) if value is None]
    found = to.op("NonZero", [pred], f"{side}.found")
    rows = to.op("Transpose", [found], f"{side}.row_numbers", perm=[1, 0])
    count = to.op("Size", [rows], f"{side}.count")
    some = to.op("Cast", [count], f"{side}.some", to=int(ir.DataType.BOOL))
    region = guarded(node, side, rows, some)
    to.graph.insert_before(node, region)
    result = list(onto)
    for place, value in zip(places, region.outputs, strict=True):
        inputs = [onto[place], rows, value]
        result[place] = to.op("ScatterND", inputs, numbered(f"{side}.put", place))
    return result
