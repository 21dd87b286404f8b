"""A choice for the whole batch, or for a batch of one image, is a plain If."""

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.predication.need import SHARE
from hydrafy.analysis.predication.predicates import note, noted
from hydrafy.analysis.rows import is_batched
from hydrafy.ir.values import constant, dims
from hydrafy.passes.lower.regions import Inserter, captured, numbered, replace
from hydrafy.passes.lower.row_ifs import is_row_if, operands

BRANCHES = {"a": "then_branch", "b": "else_branch"}


def whole_batch(graph: ir.Graph, node: ir.Node) -> str:
    """Turns a RowIf with a predicate of one number into an If, and says so."""
    outs, name, like = list(node.outputs), node.name or "select", _like(node)
    sides = [
        ir.AttrGraph(BRANCHES[side], _side(node, side, values, like))
        for side, values in operands(node).items()
    ]
    branch = ir.Node("", "If", [node.inputs[0]], sides, name=f"{name}.if", num_outputs=len(outs))
    for place, (new, out) in enumerate(zip(branch.outputs, outs, strict=True)):
        new.name = numbered(f"{name}.result", place)
        new.type, new.shape = out.type, out.shape
    if SHARE in node.metadata_props:
        branch.metadata_props[SHARE] = node.metadata_props[SHARE]
    if (condition := noted(node)) is not None:
        note(branch, condition)
    graph.insert_before(node, branch)
    replace(graph, node, *branch.outputs)
    return f"{name!r} is an If"


def _side(
    node: ir.Node, side: str, values: tuple[ir.Value | None, ...], like: ir.Value | None
) -> ir.Graph:
    """One side as a graph that returns everything; an If may not return what is outside of it.

    `like` has a row for each image.
    """
    name = f"{node.name}.{side}"
    held = node.attributes.pop(side, None)
    inner = ir.Graph([], [], nodes=[], name=name) if held is None else held.as_graph()
    to, computed = Inserter(inner, None, name), iter(list(inner.outputs))
    inner.outputs[:] = [
        next(computed) if value is None else _brought(to, value, out, numbered("as", place), like)
        for place, (value, out) in enumerate(zip(values, node.outputs, strict=True))
    ]
    return inner


def _brought(
    to: Inserter, value: ir.Value, out: ir.Value, name: str, like: ir.Value | None
) -> ir.Value:
    """What an If returns for a value from outside of it."""
    if value.shape == out.shape:
        return to.op("Identity", [value], name)
    fixed = constant(value)
    if fixed is not None and _broadcasts(out):
        rank = len(dims(out)) + 1
        out.shape = ir.Shape([None] * rank)  # that of either side
        small = ir.tensor(np.reshape(fixed, [1] * rank))
        return to.op("Constant", [], name, value=small)
    if like is None or (out.shape is not None and out.shape.is_static()):
        assert out.shape is not None
        shape = to.const(f"{name}.shape", out.shape.numpy())
    else:
        shape = to.batch(like, dims(out), name)
    return to.op("Expand", [value, shape], name)


def _like(node: ir.Node) -> ir.Value | None:
    """A value with a row for each image that a region reads, or that is chosen."""
    given = [v for values in operands(node).values() for v in values if v is not None]
    read = [v for held in node.attributes.values() for v in captured(held.as_graph())]
    return next((v for v in (*given, *read) if is_batched(v)), None)


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
