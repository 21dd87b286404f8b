"""Leaving: at which early exit an image takes its answer, as a network's decisions tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hydrafy.analysis.exits import exits
from hydrafy.ir.manifest import Leaving
from hydrafy.ir.program import Program


def leavings(program: Program) -> tuple[Leaving, ...]:
    """Who leaves at the early exits of a program, in their order, as its outputs tell it.

    Empty where it has no exits, or where a decision is no output.
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
