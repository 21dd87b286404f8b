"""Answers: what a network says of the classes, in one place or in several, the earliest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from hydrafy.analysis.cost import macs
from hydrafy.analysis.cuts import data_values
from hydrafy.errors import ModelError
from hydrafy.ir.program import Program


@dataclass(frozen=True, eq=False)
class Answer:
    """A prediction.

    Attributes:
        output: an output of the graph.
        logits: the same, [N, classes], before a Softmax or LogSoftmax behind it.
    """

    output: ir.Value
    logits: ir.Value


def answers(program: Program) -> list[Answer]:
    """What a program predicts, from the first exit to the last.

    The first output is the last answer; those that come before it follow in their order.

    Raises:
        ModelError: they are not all scores of the same classes.
    """
    role = program.manifest.role
    last, *early = [v for v in program.graph.outputs if role(v.name or "") == "prediction"]
    outputs = [*early, last]
    if not scores(outputs):
        have = ", ".join(f"{v.name!r} {v.shape}" for v in outputs)
        raise ModelError(
            f"the outputs are not all scores [N, classes] of the same classes: {have}; "
            "exits need one prediction, or several of one kind: remove the other outputs"
        )
    return [Answer(value, _logits(value)) for value in outputs]


def scores(outputs: Sequence[ir.Value]) -> bool:
    """Whether all values may be scores of the same classes: [N, classes]."""
    shapes = {tuple(value.shape or ())[1:] for value in outputs}
    return len(shapes) == 1 and len(next(iter(shapes))) == 1


def by_depth(outputs: Sequence[ir.Value]) -> list[ir.Value]:
    """Answers in the order in which a network comes to them.

    What an answer shares with others is the way to its classifier, and the longer that is, in
    multiply-accumulates, the later it comes. The last two share all that they share with others;
    the one that needs more besides is the last.
    """
    needed = [ancestors(value) for value in outputs]

    def key(place: int) -> tuple[int, int]:
        others = set[ir.Node]().union(*(n for i, n in enumerate(needed) if i != place))
        return sum(map(macs, needed[place] & others)), sum(map(macs, needed[place]))

    return [outputs[place] for place in sorted(range(len(outputs)), key=key)]


def ancestors(*values: ir.Value) -> set[ir.Node]:
    """The nodes that compute values, and those that they read from, directly or not."""
    found: set[ir.Node] = set()
    waiting = [*values]
    while waiting:
        node = waiting.pop().producer()
        if node is not None and node not in found:
            found.add(node)
            waiting += [v for v in node.inputs if v is not None]
    return found


def last_layer(logits: ir.Value) -> list[ir.Node]:
    """The nodes of the fully connected layer that logits come from, the product last.

    Raises:
        ModelError: they come from something else.
    """
    found, node = [], logits.producer()
    while node is not None and node.op_type in ("Add", "Identity"):
        found.append(node)
        node = data_values(node)[0].producer()
    if node is None or node.op_type not in ("Gemm", "MatMul"):
        raise ModelError(
            f"the scores {logits.name!r} come from no fully connected layer (Gemm): an exit needs "
            "a classifier that ends in one"
        )
    return [*found, node]


def _logits(value: ir.Value) -> ir.Value:
    while (node := value.producer()) is not None and node.op_type in ("LogSoftmax", "Softmax"):
        value = data_values(node)[0]
    return value
