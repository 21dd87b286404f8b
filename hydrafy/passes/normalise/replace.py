"""Putting other nodes and values in the place of one; the names of outputs stay."""

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from hydrafy.ir import build


def plain(op_type: str, inputs: Sequence[ir.Value | None], name: str, **attributes: Any) -> ir.Node:
    """A node of one output, before types and shapes are known; both have this name."""
    node = ir.node(op_type, inputs, attributes, name=name)
    node.outputs[0].name = name
    return node


def replace(node: ir.Node, others: Sequence[ir.Node]) -> None:
    """Puts `others` where `node` stands; the output of the last is known by the name of node's."""
    graph, old = node.graph, node.outputs[0]
    assert isinstance(graph, ir.Graph)
    graph.insert_before(node, others)
    hand_over(old, others[-1].outputs[0])
    graph.remove(node, safe=True)


def swap(
    node: ir.Node, op_type: str, inputs: Sequence[ir.Value | None], **attributes: Any
) -> ir.Node:
    """Lets a new node of another op take a node's place, its name and its result's name."""
    new = build.op(op_type, inputs, f"{node.outputs[0].name}.swapped", **attributes)
    new.name = node.name
    replace(node, [new])
    return new


def hand_over(old: ir.Value, new: ir.Value) -> None:
    """Lets `new` be what `old` was: read by its readers, an output if it was one, of its name."""
    name = old.name
    old.name = f"{name}.replaced"
    new.name, new.type, new.shape = name, old.type, old.shape
    old.replace_all_uses_with(new, replace_graph_outputs=True)


def insert_behind(value: ir.Value, node: ir.Node) -> None:
    """Lets what a node computes from a value be what the value was, for all but that node."""
    maker, (result,) = value.producer(), node.outputs
    assert maker is not None and isinstance(maker.graph, ir.Graph)
    maker.graph.insert_after(maker, node)
    hand_over(value, result)
    for place, read in enumerate(node.inputs):
        if read is result:
            node.replace_input_with(place, value)


def give_way(old: ir.Value, new: ir.Value) -> bool:
    """Lets the readers of `old` read `new`, which equals it.

    Returns:
        False, with nothing changed, if `old` is an output that `new` cannot be: an input, a weight,
        or an output already.
    """
    if not old.is_graph_output():
        old.replace_all_uses_with(new)
        return True
    if new.producer() is None or new.is_graph_output():
        return False
    hand_over(old, new)
    return True


def drop(node: ir.Node, source: ir.Value) -> bool:
    """Removes a node whose result equals `source`; False if its result cannot give way to that."""
    given = give_way(node.outputs[0], source)
    if given:
        assert isinstance(node.graph, ir.Graph)
        node.graph.remove(node, safe=True)
    return given
