"""Points: what was chosen on tables, as the run-time inputs of a network and costs for people."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from hydrafy.analysis.exits import exits
from hydrafy.ir.program import Program
from hydrafy.runtime.calibrate.budget import Budget
from hydrafy.runtime.calibrate.calibration import Point
from hydrafy.runtime.calibrate.dial import Settings
from hydrafy.runtime.calibrate.looked import Looks
from hydrafy.runtime.calibrate.rules import Choice
from hydrafy.runtime.calibrate.settled import Slot, inputs
from hydrafy.train.data import Array


@dataclass(frozen=True, eq=False)
class Points:
    """Makes points of choices.

    Attributes:
        program: that was looked at.
        slots: of the thresholds of its exits.
        looks: of whose tables choices are.
        budget: whose unit costs are told in.
    """

    program: Program
    slots: tuple[Slot, ...]
    looks: Looks
    budget: Budget

    def settings(self, choice: Choice) -> dict[str, Array]:
        """All run-time inputs that a choice says something about, float32 [1, columns]."""
        look = self.looks.all[choice.number]
        return inputs(self.program, self.slots, look.settings, choice.thresholds, look.table)

    def point(self, choice: Choice) -> Point:
        """A choice for people."""
        outcome = choice.outcome
        return Point(
            cost=self.budget.told(outcome.mean),
            share=outcome.mean / self.looks.whole,
            top1=outcome.top1,
            leaves=outcome.shares,
            settings=_plain(self.settings(choice)),
        )

    def at(self, thresholds: Array) -> Choice:
        """Thresholds of exits, where gates are as the file has them."""
        return Choice(0, thresholds, self.looks.all[0].table.judge(thresholds))

    def before(self) -> Point:
        """The file's own thresholds."""
        rows = ((self.program.weight(one.entry.name), one) for one in self.slots)
        own = [one.threshold(float(row[0, one.column])) for row, one in rows]
        found = self.at(np.array(own, float))
        values = {name: self.program.weight(name) for name in self.settings(found)}
        return dataclasses.replace(self.point(found), settings=_plain(values))

    def rates(self, choice: Choice) -> dict[str, float]:
        """How often the exits' predicates hold, of the images that get there; known ones only."""
        left, found = 1.0, {}
        names = (one.predicate.name or "" for one in exits(self.program).early)
        for name, slot, share in zip(names, self.slots, choice.outcome.shares[:-1], strict=True):
            if left > 0:
                leaving = min(share / left, 1.0)
                found[name] = leaving if slot.leaves else 1 - leaving
            left -= share
        return found


def _plain(settings: Settings) -> dict[str, tuple[float, ...]]:
    return {name: tuple(row.ravel().tolist()) for name, row in settings.items()}
