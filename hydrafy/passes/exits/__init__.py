"""Early exits: classifiers on the way, and decisions that let a sample leave there.

What has several classifiers already, an MSDNet say, only needs the decisions (`LeaveEarly`); other
networks get classifiers first (`AttachClassifiers`), after which they are of the same form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass
from hydrafy.passes.exits.attach import AttachClassifiers, places
from hydrafy.passes.exits.classifiers import LINEAR, Head
from hydrafy.passes.exits.decisions import CONFIDENT, Decision
from hydrafy.passes.exits.leave import LeaveEarly


@dataclass(frozen=True)
class InsertExits(Pass):
    """Classifiers and decisions together.

    Args:
        before: as of `AttachClassifiers`.
        head: what answers there.
        decision: who leaves.
        seed: of the weights.
    """

    name: ClassVar[str] = "insert-exits"
    before: tuple[str, ...]
    head: Head = LINEAR
    decision: Decision = CONFIDENT
    seed: int = 0

    @property
    def decisions(self) -> list[str]:
        """The names of the outputs that say what was decided, bool [N, 1], one for each exit."""
        return self.decision.names(len(self.before))

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: as of its parts.
        """
        seen = tuple(cut.name or "" for cut in places(program, self.before).values())
        notes = AttachClassifiers(self.before, self.head, self.seed).apply(program)
        return [*notes, *LeaveEarly(self.decision, seen, self.seed).apply(program)]
