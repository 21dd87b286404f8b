"""Brings the outputs of a network that answers several times into the order of its exits."""

from dataclasses import dataclass
from typing import ClassVar

from hydrafy.analysis.answers import answers, by_depth
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class OrderAnswers(Pass):
    """Predictions go in front of the other outputs, the earliest first."""

    name: ClassVar[str] = "order-answers"

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: the predictions are not all scores of the same classes.
        """
        outputs, found = program.graph.outputs, answers(program)
        ordered = [one.output for one in by_depth(found)]
        if ordered == [one.output for one in found]:
            return []
        outputs[:] = [*ordered, *(value for value in outputs if value not in ordered)]
        return [f"the order of the answers: {', '.join(v.name or '' for v in ordered)}"]
