"""Puts the prediction first where a network answers several times, and then earlier answers."""

from dataclasses import dataclass
from typing import ClassVar

from hydrafy.analysis.answers import by_depth, scores
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class OrderAnswers(Pass):
    """The answer that comes last is the prediction; the others follow it, the earliest first.

    Outputs that are not all scores of the same classes stay as they are.
    """

    name: ClassVar[str] = "order-answers"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        outputs = list(program.graph.outputs)
        if len(outputs) < 2 or not scores(outputs):
            return []
        *early, last = by_depth(outputs)
        if outputs == [last, *early]:
            return []
        program.graph.outputs[:] = [last, *early]
        names = ", ".join(value.name or "" for value in (*early, last))
        return [f"the network answers {len(outputs)} times, one after the other: {names}"]
