"""Joins: where a block adds what it computes to its shortcut, or concatenates both."""

import onnx_ir as ir

from hydrafy.analysis.anatomy import Block
from hydrafy.analysis.cost import macs
from hydrafy.errors import ModelError
from hydrafy.ir.values import constant


def join_of(block: Block) -> tuple[ir.Node, int]:
    """The Add or Concat of a block's shortcut and what it computes, and the latter's place."""
    join = producer(block.exit)
    for node in (join, *reversed(block.nodes)):
        operands = {
            i: v for i, v in enumerate(node.inputs) if v is not None and constant(v) is None
        }
        if node.op_type in ("Add", "Concat") and len(operands) == 2:
            works = {place: _behind(block, value) for place, value in operands.items()}
            return node, max(works, key=lambda place: works[place])
    raise ModelError(
        f"the block at {block.entry.name!r} joins more than two paths: it cannot be bypassed"
    )


def work(block: Block) -> int:
    """MACs of what a block adds to its shortcut."""
    join, place = join_of(block)
    return _behind(block, join.inputs[place])


def _behind(block: Block, value: ir.Value | None) -> int:
    """MACs that lead to a value within a block."""
    inside, found = set(block.nodes), set[ir.Node]()
    waiting = [value.producer() if value is not None else None]
    while waiting:
        node = waiting.pop()
        if node in inside and node not in found:
            found.add(node)
            waiting += [v.producer() for v in node.inputs if v is not None]
    return sum(macs(node) for node in found)


def producer(value: ir.Value) -> ir.Node:
    """The node that computes a value."""
    node = value.producer()
    assert node is not None
    return node
