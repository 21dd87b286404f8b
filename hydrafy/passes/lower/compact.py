"""Compact: a region with a per-sample predicate runs on the rows that need it, gathered."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.need import SHARE
from hydrafy.analysis.predicates import note, noted
from hydrafy.analysis.rows import is_batched
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant, dims
from hydrafy.passes.base import Pass
from hydrafy.passes.lower.regions import Inserter, captured, guarded, replace
from hydrafy.passes.lower.sink import is_row_if, operands


@dataclass(frozen=True)
class Compact(Pass):
    """Turns every RowIf into Ifs that standard ONNX knows, the outer ones first.

    With a predicate [N], each side runs on its own rows and its result is put over the other's;
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
            rows = is_batched(operands(node)[0])
            notes.append(_per_sample(graph, node) if rows else _whole_batch(graph, node))
    for node in list(graph):
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                _graph(attribute.as_graph(), notes)


def _per_sample(graph: ir.Graph, node: ir.Node) -> str:
    pred, a, b = operands(node)
    out = node.outputs[0]
    to = Inserter(graph, node, node.name or "select")
    row = dims(out)
    if b is None:
        unpicked = to.op("Not", [pred], "not")
        result = _put(to, node, "b", unpicked, to.zeros(pred, row, "zeros"))
    elif b.shape == out.shape:
        result = b
    else:
        result = to.op("Expand", [b, to.batch(pred, row, "other")], "other")
    if a is None:
        result = _put(to, node, "a", pred, result)
    else:
        shape = to.const("pred.shape", np.array([-1] + [1] * len(row)))
        result = to.op("Where", [to.op("Reshape", [pred, shape], "pred"), a, result], "chosen")
    name = node.name
    replace(graph, node, result)
    return f"{name!r}: its regions run on their own rows"


def _put(to: Inserter, node: ir.Node, side: str, pred: ir.Value, onto: ir.Value) -> ir.Value:
    """The region of one side on the rows where `pred`, put over those rows of `onto`."""
    found = to.op("NonZero", [pred], f"{side}.found")
    rows = to.op("Transpose", [found], f"{side}.row_numbers", perm=[1, 0])
    count = to.op("Size", [rows], f"{side}.count")
    some = to.op("Cast", [count], f"{side}.some", to=int(ir.DataType.BOOL))
    region = guarded(node, side, rows, some)
    to.graph.insert_before(node, region)
    return to.op("ScatterND", [onto, rows, region.outputs[0]], f"{side}.put")


def _broadcasts(value: ir.Value) -> bool:
    """Whether all that reads a value takes one number in the place of many.

    A sum does, if something else in it has the shape of its result.
    """
    nodes = value.consumers()
    if value.is_graph_output() or not all(n.op_type in ("Add", "Sum") for n in nodes):
        return False
    return all(any(_whole(v, node) for v in node.inputs if v is not None) for node in nodes)


def _whole(value: ir.Value, node: ir.Node) -> bool:
    """Whether an operand of a node has the shape of its result, whatever is skipped."""
    producer = value.producer()
    optional = producer is not None and (is_row_if(producer) or producer.op_type == "If")
    return not optional and value.shape == node.outputs[0].shape


def _whole_batch(graph: ir.Graph, node: ir.Node) -> str:
    pred, a, b = operands(node)
    out = node.outputs[0]
    if b is not None and b.shape != out.shape and _broadcasts(out) and constant(b) is not None:
        small = np.asarray(constant(b), np.float32).reshape([1] * len(dims(out)) + [1])
        b = build.weight(graph, f"{node.name}.other", small)
        out.shape = ir.Shape([None] * (len(dims(out)) + 1))  # that of either side
    elif b is not None and b.shape != out.shape and out.shape is not None and out.shape.is_static():
        to = Inserter(graph, node, node.name or "select")
        b = to.op("Expand", [b, to.const("other.shape", out.shape.numpy())], "other")
    elif b is not None and b.shape != out.shape:
        to = Inserter(graph, node, node.name or "select")
        like = a if a is not None else captured(node.attributes["a"].as_graph())[0]
        b = to.op("Expand", [b, to.batch(like, dims(out), "other")], "other")
    sides = []
    for name, side, value in (("then_branch", "a", a), ("else_branch", "b", b)):
        if value is None:
            sides.append(ir.AttrGraph(name, node.attributes[side].as_graph()))
            node.attributes.pop(side)
            continue
        copy = build.op(
            "Identity", [value], f"{node.name}.{side}"
        )  # an If may not return outer values
        sides.append(
            ir.AttrGraph(name, ir.Graph([], [copy.outputs[0]], nodes=[copy], name=copy.name))
        )
    branch = ir.Node("", "If", [pred], sides, name=f"{node.name}.if")
    branch.outputs[0].name = f"{node.name}.result"
    branch.outputs[0].type, branch.outputs[0].shape = out.type, out.shape
    if SHARE in node.metadata_props:
        branch.metadata_props[SHARE] = node.metadata_props[SHARE]
    if (condition := noted(node)) is not None:
        note(branch, condition)
    graph.insert_before(node, branch)
    replace(graph, node, branch.outputs[0])
    return f"{node.name!r} is an If"
