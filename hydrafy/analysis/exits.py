"""Exits: where a sample may leave a network with an answer, from the Selects of its prediction."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from hydrafy.analysis.answers import ancestors
from hydrafy.analysis.bounds import Bound, bound
from hydrafy.analysis.predication.predicates import column
from hydrafy.ir import ops
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
