"""Takes the decisions of a network from its caller: for probes, oracles and experiments."""

from dataclasses import dataclass
from typing import ClassVar

from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass
from hydrafy.passes.cut import Cut


@dataclass(frozen=True)
class ForceDecisions(Pass):
    """Each output with the role `decision` becomes an input of the same name; what made it goes."""

    name: ClassVar[str] = "force-decisions"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        names = [v.name or "" for v in program.graph.outputs]
        forced = tuple(n for n in names if program.manifest.role(n) == "decision")
        if not forced:
            return []
        Cut(forced, tuple(n for n in names if n not in forced)).apply(program)
        return [f"{len(forced)} decisions are inputs now"]
