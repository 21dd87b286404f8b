"""Oracles: static networks of exactly the work that a dynamic one does for a decision."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hydrafy.analysis.predication.executed import Conditions, placed
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.passes.lower.inference import DropTraining
from hydrafy.passes.specialise import Specialise
from hydrafy.train.data import Array

COVERS = 8  # static networks that have all parts of a network between them, at most


def oracle(dense: Program, decision: Mapping[str, Array]) -> Program:
    """The static network of exactly the work that is done for an image with this decision.

    It goes through all of lowering, where no Select is left to become a region.
    """
    passes = [DropTraining(), Specialise(decision), *lower.pipeline()]
    return base.run(dense.clone(), passes)


def covers(dense: Program) -> list[tuple[Program, set[Conditions]]]:
    """Static networks that have every part of a dynamic one between them.

    Returns:
        Each with the conditions of the parts that are to be measured in it; empty where more than
        a few networks would be needed.
    """
    every = dict(placed(dense))
    names = {c.predicate.name for found in every.values() for c in found}
    left = set(every.values())
    found: list[tuple[Program, set[Conditions]]] = []
    while left:
        if len(found) == COVERS:
            return []
        wanted = max(left, key=lambda one: (len(one), sorted(map(str, one))))
        met = {c.predicate.name: c.holds for c in wanted}
        best = max(
            ({**dict.fromkeys(names, side), **met} for side in (True, False)),
            key=lambda decision: sum(_met(one, decision) for one in left),
        )
        here = {one for one in left if _met(one, best)}
        decision = {name: np.array(holds) for name, holds in best.items()}
        found.append((oracle(dense, decision), here))
        left -= here
    return found


def _met(part: Conditions, decision: Mapping[str, bool]) -> bool:
    return all(decision[c.predicate.name] == c.holds for c in part)
