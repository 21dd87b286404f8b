"""Putting other nodes and values in the place of one, before types and shapes are known."""

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir


def plain(op_type: str, inputs: Sequence[ir.Value | None], name: str, **attributes: Any) -> ir.Node:
    """A node of one output, without type or shape; it and its output have this name."""
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


def hand_over(old: ir.Value, new: ir.Value) -> None:
    """Lets `new` be what `old` was: read by its readers, an output if it was one, of its name."""
    name = old.name
    old.name = f"{name}.replaced"
    new.name, new.type, new.shape = name, old.type, old.shape
    old.replace_all_uses_with(new, replace_graph_outputs=True)


def give_way(old: ir.Value, new: ir.Value) -> bool:
    """Lets the readers of `old` read `new`; False if `old` is an output that `new` cannot be."""
    if not old.is_graph_output():
        old.replace_all_uses_with(new)
        return True
    if new.producer() is None or new.is_graph_output():
        return False
    hand_over(old, new)
    return True
