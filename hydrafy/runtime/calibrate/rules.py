"""Rules that choose thresholds from tables, and how well a rule does on images it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hydrafy.runtime.calibrate.budgeted import paper
from hydrafy.runtime.calibrate.searched import rank
from hydrafy.runtime.calibrate.table import Outcome, Table
from hydrafy.train.data import Array

Rule = Callable[[Table, Sequence[float]], list[Array | None]]
"""The best thresholds that a rule has for each budget on the mean cost; None where none keep it."""


@dataclass(frozen=True, eq=False)
class Choice:
    """A table and thresholds for it.

    Attributes:
        number: of the table.
        thresholds: of its exits.
        outcome: what they make of the table's images.
    """

    number: int
    thresholds: Array
    outcome: Outcome


def by_paper(table: Table, budgets: Sequence[float]) -> list[Array | None]:
    """The paper's rule: of its 39 points the best one that keeps the budget."""
    judged = [(table.judge(one), one) for one in paper(table)]
    return [
        min(
            (pair for pair in judged if pair[0].mean <= budget),
            key=lambda pair: rank(pair[0]),
            default=(None, None),
        )[1]
        for budget in budgets
    ]


def choose(tables: Sequence[Table], budgets: Sequence[float], rule: Rule) -> list[Choice | None]:
    """For each budget the best that a rule finds on any of the tables; None where there is none.

    Args:
        tables: of the same images, for several settings of what is not an exit's threshold.
        budgets: on the mean cost of an image.
        rule: that chooses thresholds.
    """
    found = [rule(table, budgets) for table in tables]
    return [
        min(
            (
                Choice(number, thresholds, tables[number].judge(thresholds))
                for number, own in enumerate(found)
                if (thresholds := own[place]) is not None
            ),
            key=lambda one: rank(one.outcome),
            default=None,
        )
        for place in range(len(budgets))
    ]


def held_out(tables: Sequence[Table], budget: float, rule: Rule) -> Outcome | None:
    """How well a rule does where it has seen half of the images, and is judged by the others.

    Both halves choose, and each judges what the other chose: every image is judged once. None where
    one half has nothing that keeps the budget.

    Args:
        tables: see `choose`.
        budget: on the mean cost of an image.
        rule: that chooses thresholds.
    """
    order = np.random.default_rng(0).permutation(len(tables[0]))
    halves = [order[: len(order) // 2], order[len(order) // 2 :]]
    judged = []
    for own, other in (halves, halves[::-1]):
        (choice,) = choose([table.rows(own) for table in tables], [budget], rule)
        if choice is None:
            return None
        judged.append(tables[choice.number].rows(other).judge(choice.thresholds))
    images = np.array([one.images for one in judged])
    shares = images @ np.array([one.shares for one in judged]) / images.sum()
    return Outcome(
        sum(one.hits for one in judged),
        sum(one.cost for one in judged),
        int(images.sum()),
        tuple(shares.tolist()),
    )
