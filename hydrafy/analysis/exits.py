"""Exits: where a sample may leave a network with an answer, from the Selects of its prediction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.answers import ancestors
from hydrafy.analysis.bounds import Bound, bound
from hydrafy.analysis.cost import macs
from hydrafy.analysis.predication.need import region
from hydrafy.analysis.predication.picks import picks
from hydrafy.analysis.predication.predicates import column
from hydrafy.ir import ops
from hydrafy.ir.manifest import Leaving
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant

RESCALING = ops.EACH | {"LogSoftmax", "Softmax"}
"""What may stand between the exits and a prediction."""


@dataclass(frozen=True, eq=False)
class Exit:
    """An early exit of a dynamic program: a Select of answers, by a choice that a gate makes.

    Attributes:
        select: the Select.
        logits: what its classifier says, [N, classes].
        rest: what those get who do not leave.
        predicate: bool [N], which the Select asks.
        decision: bool [N, choices], of which the predicate is a column.
        column: which.
        gate: the node that decides.
        leaves: whether a sample leaves where the predicate holds, or where it does not.
        threshold: what its score is compared with; None where no run-time input says it.
    """

    select: ir.Node
    logits: ir.Value
    rest: ir.Value
    predicate: ir.Value
    decision: ir.Value
    column: int
    gate: ir.Node
    leaves: bool
    threshold: Bound | None

    @property
    def score(self) -> ir.Value:
        """What is compared, float32 [N, choices]; log-odds where the gate has learned it."""
        score = self.gate.inputs[0]
        assert score is not None
        return score


@dataclass(frozen=True, eq=False)
class Exits:
    """All exits of a program, in the order in which samples get to them.

    Attributes:
        early: the early ones; none in a program without exits.
        last: the logits [N, classes] of whom stays to the end.
    """

    early: tuple[Exit, ...]
    last: ir.Value


def exits(program: Program) -> Exits:
    """The exits of a program: its prediction is `Select(leave_1, y_1, Select(leave_2, y_2, ...))`.

    An answer is told from what comes behind it by the decision, which is made of it. Where that is
    made of neither, a gate has learned it; as all gates do it lets run what it holds for: the rest.
    """
    value, early = _chosen(program.graph.outputs[0]), list[Exit]()
    while (one := _exit(program, value.producer())) is not None:
        early.append(one)
        value = _chosen(one.rest)
    return Exits(tuple(early), value)


def leavings(program: Program) -> tuple[Leaving, ...]:
    """Who leaves at the early exits of a program, in their order, as its outputs tell it.

    None where it has no exits, where a decision is no output, or where a lowered program does not
    know them, because it was lowered before this was noted.
    """
    found = program.manifest.exits
    if program.stage == "dynamic":
        early = exits(program).early
        found = tuple(Leaving(one.decision.name or "", one.column, one.leaves) for one in early)
    outputs = {value.name for value in program.graph.outputs}
    return found if outputs.issuperset(one.decision for one in found) else ()


def left(early: Sequence[Leaving], found: Mapping[str, np.ndarray], images: int) -> np.ndarray:
    """At which exit each image leaves, int64 [images], counted from 0: the first that lets it go.

    What is decided behind that exit does not count: a lowered program tells False there, a dynamic
    one what it would have been.

    Args:
        early: as `leavings` has them; who leaves at none of them does so at the end.
        found: their decisions by name, bool [images, choices].
        images: how many there are.
    """
    leave = (found[one.decision][:, one.column] == one.leaves for one in early)
    first: np.ndarray = np.array([*leave, np.ones(images, bool)]).argmax(0)
    return first


def shares(program: Program, found: Exits) -> tuple[float, ...]:
    """What an answer takes, as shares of the MACs of the one that takes most: the last, in general.

    Those of each exit, and at last of the end. All counts that may have to run for the answer: the
    decisions that lead there, both sides of any other Select, and of branches of which only some
    are picked as many as can be, the dearest.
    """
    read, nodes = list[ir.Value](), []
    for one in found.early:
        read.append(one.decision)
        nodes.append(ancestors(*read, one.logits))
    nodes.append(ancestors(*read, found.last))
    spent = list(map(_most, nodes))
    return tuple(one / max(spent) for one in spent)


def _chosen(value: ir.Value) -> ir.Value:
    """The scores that a value is a function of, class by class."""
    while (node := value.producer()) is not None and node.domain == "":
        source = node.inputs[0] if node.op_type in RESCALING else None
        if source is None:
            break
        value = source
    return value


def _exit(program: Program, select: ir.Node | None) -> Exit | None:
    """The exit that a node is; None if it is none, or no gate decides."""
    if select is None or not ops.is_select(select):
        return None
    predicate, *sides = select.inputs
    read = column(predicate)
    gate = read[0].producer() if read is not None else None
    if predicate is None or read is None or gate is None or not ops.is_gate(gate):
        return None
    a, b = sides
    if a is None or b is None or constant(b) is not None:
        return None
    leaves = _chosen(a).producer() in ancestors(predicate)
    logits, rest = (a, b) if leaves else (b, a)
    return Exit(select, logits, rest, predicate, *read, gate, leaves, bound(program, gate))


def _most(nodes: set[ir.Node]) -> int:
    """The MACs of nodes, but of branches that cannot all be picked."""
    inside = dict[ir.Node, tuple[ir.Value, int, list[ir.Node]]]()
    for node in nodes:
        read = column(node.inputs[0]) if ops.is_select(node) else None
        if read is not None and picks(read[0]) is not None:
            inside[node] = (*read, region(node, "a", nodes))
    within = {member for _, _, members in inside.values() for member in members}
    costs: dict[ir.Value, dict[int, int]] = {}
    for select, (decision, number, members) in inside.items():
        if select not in within:  # of a branch in a branch all may run
            own = costs.setdefault(decision, {})
            own[number] = own.get(number, 0) + _spent(members)
    total = _spent(nodes)
    for decision, own in costs.items():
        limit = picks(decision)
        assert limit is not None
        total -= sum(sorted(own.values(), reverse=True)[limit.most :])
    return total


def _spent(nodes: Iterable[ir.Node]) -> int:
    return sum(map(macs, nodes))
