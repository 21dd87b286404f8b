"""Looks at a program under several settings of its gates: a table for each, in MACs or in time."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass

import numpy as np

from hydrafy.runtime.calibrate.budget import Budget
from hydrafy.runtime.calibrate.dial import Dial, Settings, opened
from hydrafy.runtime.calibrate.observed import Observer, Progress
from hydrafy.runtime.calibrate.table import Table
from hydrafy.runtime.calibrate.times import Clock

LEVELS = 8  # to which the dial is turned, besides that of open gates
HALVINGS = 6  # of the distance between two levels, towards a budget


@dataclass(frozen=True, eq=False)
class Look:
    """A setting of the gates that are not of exits, and what images do then."""

    settings: Settings
    table: Table


@dataclass(frozen=True, eq=False)
class Looks:
    """Looks at one program.

    Attributes:
        all: the first one at the file's own setting.
        whole: what an image costs if nothing is skipped: gates are open, and nobody leaves.
    """

    all: tuple[Look, ...]
    whole: float

    @property
    def tables(self) -> list[Table]:
        """Of all of them."""
        return [look.table for look in self.all]


@dataclass(frozen=True, eq=False)
class Looker:
    """Makes looks.

    Attributes:
        observer: runs the program.
        clock: times it; None where costs are MACs.
        progress: called with what is going on, how much of it is done, and of how much.
    """

    observer: Observer
    clock: Clock | None
    progress: Progress

    def looks(self, budget: Budget) -> Looks:
        """Looks at the file's own setting, at open gates, and at ever fewer that are open.

        Without exits only the dial can keep a budget, so it is turned ever nearer to it.

        Args:
            budget: on the mean cost of an image.
        """
        knobs = self.observer.knobs
        if not knobs:
            found = self._looks([{}])
            return Looks(tuple(found), _whole(found[0]))
        ways = opened(knobs)
        dial = Dial(knobs, self.observer.choices(ways, self.progress))
        levels = [level / LEVELS for level in range(1, LEVELS + 1)]
        default = {knob.entry.name: knob.default for knob in knobs}
        own, *others = self._looks([default, ways, *map(dial.at, levels)])
        turned, whole = dict(zip([0.0, *levels], others, strict=True)), _whole(others[0])
        while not self.observer.exits.early and len(turned) < LEVELS + HALVINGS:
            level = _nearer(turned, budget.cost(whole))
            if level is None:
                break
            (turned[level],) = self._looks([dial.at(level)])
        return Looks((own, *(turned[level] for level in sorted(turned))), whole)

    def _looks(self, settings: list[Settings]) -> list[Look]:
        tables = self.observer.tables(settings, self.progress)
        if self.clock is not None:
            costs = self.clock.costs(settings, tables[0], self._timed)
            tables = [
                dataclasses.replace(table, costs=np.tile(row, (len(table), 1)))
                for table, row in zip(tables, costs, strict=True)
            ]
        return [Look(own, table) for own, table in zip(settings, tables, strict=True)]

    def _timed(self, done: int, of: int) -> None:
        self.progress("timing at batch 1", done, of)


def _whole(look: Look) -> float:
    """What an image costs that stays to the end."""
    return float(look.table.costs[:, -1].mean())


def _nearer(turned: dict[float, Look], budget: float) -> float | None:
    """The middle between two neighbouring levels, of which one keeps a budget; None without such.

    Args:
        turned: looks by level.
        budget: on the mean cost of an image.
    """
    levels = sorted(turned)
    keeps = [turned[level].table.judge(()).mean <= budget for level in levels]
    for place, (one, other) in enumerate(itertools.pairwise(keeps)):
        if one != other:
            return (levels[place] + levels[place + 1]) / 2
    return None
