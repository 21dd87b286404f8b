"""Notes where samples leave, as long as the graph can tell it."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from hydrafy.analysis.leaving import leavings
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class NoteExits(Pass):
    """The early exits go to the manifest: in a lowered program no Select tells them any more."""

    name: ClassVar[str] = "note-exits"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        found = leavings(program)
        program.manifest = dataclasses.replace(program.manifest, exits=found)
        names = ", ".join(repr(one.decision) for one in found)
        return [f"samples leave by {names}, in this order"] if found else []
