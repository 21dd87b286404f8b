"""Exits: the early ones of a program, from the Selects that its prediction is made of."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from hydrafy.analysis.bounds import Bound, bound
from hydrafy.analysis.cuts import data_values
from hydrafy.analysis.predication.predicates import column
from hydrafy.ir import ops
from hydrafy.ir.program import Program


@dataclass(frozen=True, eq=False)
class Exit:
    """An early exit of a dynamic program.

    Attributes:
        logits: what its classifier says, [N, classes].
        predicate: bool [N], which its Select asks.
        decision: bool [N, choices], of which the predicate is a column.
        column: which.
        gate: the node that decides.
        leaves: whether a sample leaves where the predicate holds, or where it does not.
        threshold: the one column of a run-time input that its score is compared with; None where
            a gate of its own has learned what it decides, or no run-time input says it.
    """

    logits: ir.Value
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

    @property
    def learned(self) -> bool:
        """Whether a gate of its own has learned what it decides."""
        return self.gate.op_type == "GumbelGate"


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

    Where a sample leaves if it is sure of what the exit says, the predicate is computed from that
    side. Else a gate decides on its own, and what it opens is the way to the other exits.
    """
    value, early = _chosen(program.graph.outputs[0]), list[Exit]()
    while (node := value.producer()) is not None and ops.is_select(node):
        found = _exit(program, node)
        if found is None:
            break
        early.append(found[0])
        value = found[1]
    return Exits(tuple(early), value)


def _chosen(prediction: ir.Value) -> ir.Value:
    """The logits that a program's prediction is a function of, class by class."""
    value = prediction
    while (node := value.producer()) is not None and node.op_type in (
        "Identity",
        "LogSoftmax",
        "Softmax",
    ):
        value = data_values(node)[0]
    return value


def _exit(program: Program, select: ir.Node) -> tuple[Exit, ir.Value] | None:
    """The exit that a Select makes, and what stays for the others; None if no gate decides."""
    predicate, a, b = select.inputs
    assert predicate is not None and a is not None and b is not None
    read = column(predicate)
    gate = read[0].producer() if read is not None else None
    if read is None or gate is None or not ops.is_gate(gate):
        return None
    leaves = _depends(predicate, a)
    logits, rest = (a, b) if leaves else (b, a)
    threshold = None if gate.op_type == "GumbelGate" else bound(program, gate)
    return Exit(logits, predicate, read[0], read[1], gate, leaves, threshold), rest


def _depends(value: ir.Value, on: ir.Value) -> bool:
    """Whether a value is computed from another one."""
    waiting, seen = [value], set[ir.Value]()
    while waiting:
        one = waiting.pop()
        if one is on:
            return True
        node = one.producer()
        if one in seen or node is None:
            continue
        seen.add(one)
        waiting += [v for v in node.inputs if v is not None]
    return False
