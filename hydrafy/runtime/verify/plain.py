"""Two files of which neither is the dense reference of the other: outputs, side by side."""

from __future__ import annotations

import numpy as np

from hydrafy.errors import VerifyError
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.force import ForceDecisions
from hydrafy.runtime.verify.compare import Array, Feeds, Form, compare


class Plain:
    """Both files; the second one's decisions are given to the first one, where both have some."""

    def __init__(self, one: Program, two: Program) -> None:
        self.decisions = [name for name in decisions(one) if name in decisions(two)]
        self.one, self.two = Form.of(one), Form.of(two)
        names = tuple(self.decisions)
        forced = base.run(one.clone(), [ForceDecisions(names)]) if names else one
        self.forced = Form.of(forced)

    def compare(self, feeds: Feeds, count: int, limit: float) -> tuple[float, Array]:
        """The largest difference of outputs, and for which rows a decision differs.

        Raises:
            VerifyError: an output differs.
        """
        found = self.two.run(feeds)
        given = {name: found[name] for name in self.decisions}
        wanted = self.forced.run({**feeds, **given})
        outputs = {name: array for name, array in wanted.items() if name in found}
        worst, difference = compare(outputs, found, limit)
        if difference is not None:
            raise VerifyError(f"output {difference.output!r} {difference.clause}")
        flipped = np.zeros(count, bool)
        if self.decisions:
            own = self.one.run(feeds)
            for name in self.decisions:
                flipped |= (own[name] != found[name]).reshape(count, -1).any(1)
        return worst, flipped


def decisions(program: Program) -> list[str]:
    """The outputs that are decisions."""
    names = [v.name or "" for v in program.graph.outputs]
    return [name for name in names if program.manifest.role(name) == "decision"]
