"""Exits: where a sample may leave a network with an answer, the earliest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import onnx_ir as ir

from hydrafy.analysis.cost import macs
from hydrafy.analysis.predication.need import alive
from hydrafy.analysis.predication.predicates import column
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant, dims

RESCALING = ops.EACH | {"LogSoftmax", "Softmax"}
"""What may stand between the exits and a prediction."""


@dataclass(frozen=True, eq=False)
class Exit:
    """A Select of answers, by a gate that makes one decision for each sample.

    Attributes:
        select: the Select.
        decision: bool [N, 1].
        leaves: whether a sample leaves where it holds, or where it does not.
        answer: what a sample gets that leaves, [N, classes].
        rest: what another one gets.
    """

    select: ir.Node
    decision: ir.Value
    leaves: bool
    answer: ir.Value
    rest: ir.Value


def exits(program: Program) -> list[Exit]:
    """The exits of a dynamic program: Selects, each the rest of the one before.

    The first one's result is a prediction, or scores that a Softmax makes one of. An answer
    is told from what comes behind it by the decision, which is made of it; where the decision is
    made of neither, the answer costs less. The prediction with the most exits counts.
    """
    role = program.manifest.role
    predictions = [v for v in program.graph.outputs if role(v.name or "") == "prediction"]
    return max((list(_chain(v)) for v in predictions), key=len, default=[])


def shares(program: Program, found: list[Exit]) -> tuple[float, ...]:
    """What an answer takes, as shares of the MACs that a program has if nothing is skipped.

    Those of each exit, and at last of the end. All counts that may have to run for the answer: the
    decisions that lead there, and both sides of any other Select.
    """
    whole = _spent(alive(program))
    read, nodes = [], []
    for one in found:
        read.append(one.decision)
        nodes.append(ancestors([*read, one.answer]))
    nodes.append(ancestors([*read, found[-1].rest]))
    return tuple(_spent(some) / whole for some in nodes)


def ancestors(values: Iterable[ir.Value]) -> set[ir.Node]:
    """The nodes that compute some values, and those that they read."""
    found: set[ir.Node] = set()
    waiting = list(values)
    while waiting:
        node = waiting.pop().producer()
        if node is not None and node not in found:
            found.add(node)
            waiting += [v for v in node.inputs if v is not None]
    return found


def _chain(value: ir.Value) -> Iterator[Exit]:
    while (one := _exit(_chosen(value))) is not None:
        yield one
        value = one.rest


def _chosen(value: ir.Value) -> ir.Node | None:
    """The node that scores come from, behind those that only rescale them."""
    node = value.producer()
    while node is not None and node.domain == "" and node.op_type in RESCALING:
        source = node.inputs[0]
        node = source.producer() if source is not None else None
    return node


def _exit(node: ir.Node | None) -> Exit | None:
    """The exit that a node is, None if it is none."""
    if node is None or not ops.is_select(node):
        return None
    found = column(node.inputs[0])
    sides = [v for v in node.inputs[1:] if v is not None and constant(v) is None]
    gate = found[0].producer() if found is not None else None
    if found is None or gate is None or not ops.is_gate(gate):
        return None
    if dims(found[0]) != (1,) or len(sides) < 2:
        return None
    leaves = _is_first(sides[0], sides[1], found[0])
    answer, rest = sides if leaves else sides[::-1]
    return Exit(node, found[0], leaves, answer, rest)


def _is_first(one: ir.Value, other: ir.Value, decision: ir.Value) -> bool:
    """Whether the first of two values is the answer, and not what comes behind it."""
    made = ancestors([decision])
    before = [value.producer() in made for value in (one, other)]
    if before[0] != before[1]:
        return before[0]
    return _spent(ancestors([one])) <= _spent(ancestors([other]))


def _spent(nodes: Iterable[ir.Node]) -> int:
    return sum(map(macs, nodes))
