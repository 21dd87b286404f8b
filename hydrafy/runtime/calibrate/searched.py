"""The search: thresholds with the best accuracy on a table that keep a budget.

Of a few candidates for each exit, quantiles of its scores, every combination is judged at once, by
sums over a histogram of the images. Up to three early exits that is all there is to do. With more
exits the candidates are coarser, and pairs of exits then take turns, with all candidates, until
no pair finds anything better.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from hydrafy.runtime.calibrate.budgeted import paper
from hydrafy.runtime.calibrate.table import Outcome, Table
from hydrafy.train.data import Array

CANDIDATES = 100  # for a threshold, at most
CELLS = 1_000_000  # combinations that are judged at once, at most
PAIRS = 120  # of exits that take turns, about; all of them for up to 11


def search(table: Table, budgets: Sequence[float]) -> list[Array | None]:
    """The best thresholds for each budget, float64 [early exits]; None where none keep it.

    They are never worse than the paper's on the same table. Where several are equally good, these
    are among the cheapest.

    Args:
        table: of validation images.
        budgets: on the mean cost of an image.
    """
    coarse = int(CELLS ** (1 / max(table.early, 1)) + 1e-9)
    options = [candidates(scores, min(coarse, CANDIDATES)) for scores in table.scores.T]
    hits, costs = grid(table, options)
    known = [*together(table), *paper(table)]
    found: list[Array | None] = []
    for budget in budgets:
        place = pick(hits, costs, budget * len(table))
        starts = _within(table, known, budget)
        if place is not None:
            starts.append(np.array([own[at] for own, at in zip(options, place, strict=True)]))
        ends = [polished(table, start, budget) for start in starts]
        found.append(min(ends, key=lambda end: rank(table.judge(end)), default=None))
    return found


def together(table: Table) -> Iterator[Array]:
    """Thresholds with which all images leave at one exit: at each, the last included."""
    for number in range(table.early + 1):
        thresholds = np.full(table.early, np.inf)
        thresholds[number : number + 1] = -np.inf
        yield thresholds


def candidates(scores: Array, most: int) -> Array:
    """Thresholds for an exit, ascending: for everybody, at quantiles of its scores, for nobody.

    Args:
        scores: of the images, float64 [images].
        most: thresholds; where it is 1, the one for nobody.
    """
    if most < 2:
        return np.array([np.inf])
    inner = np.unique(scores[np.isfinite(scores)])[1:]
    if len(inner) > most - 2:
        levels = np.arange(1, most - 1) / (most - 1)
        inner = np.unique(np.quantile(scores, levels, method="higher"))
    return np.array([-np.inf, *inner, np.inf])


def grid(table: Table, options: Sequence[Array]) -> tuple[Array, Array]:
    """How many images are right, and what all cost, for each combination of thresholds.

    Args:
        table: of images.
        options: thresholds of each early exit, ascending.

    Returns:
        Two arrays of whole numbers, an axis for each early exit.
    """
    passed = [
        np.searchsorted(own, scores, side="right")  # so many of the thresholds let it leave
        for own, scores in zip(options, table.scores.T, strict=True)
    ]
    shape = tuple(map(len, options))
    hits, costs = np.zeros(shape), np.zeros(shape)
    for number in range(table.early + 1):
        for total, values in ((hits, table.hits), (costs, table.costs)):
            own = _leaving(values[:, number], passed, shape, number)
            total += own.reshape(own.shape + (1,) * (total.ndim - own.ndim))
    return hits, costs


def _leaving(values: Array, passed: Sequence[Array], shape: tuple[int, ...], number: int) -> Array:
    """The sum of the values of those who leave at an exit, for thresholds of it and those before.

    Args:
        values: of all images at the exit, [images].
        passed: how many thresholds of each exit let an image leave, [images] each.
        shape: how many thresholds each exit has.
        number: of the exit.
    """
    known = passed[: number + 1]
    sizes = tuple(size + 1 for size in shape[: number + 1])
    if not known:
        return np.array(values.sum(dtype=float))
    cells = np.ravel_multi_index(tuple(known), sizes)
    sums = np.bincount(cells, values.astype(float), math.prod(sizes)).reshape(sizes)
    for axis in range(len(sizes)):
        upto = sums.cumsum(axis)  # of those who stay
        stay = upto.take(range(sizes[axis] - 1), axis)
        sums = upto.take([-1], axis) - stay if axis == number else stay
    return sums


def pick(hits: Array, costs: Array, limit: float) -> tuple[int, ...] | None:
    """Where most are right of what costs no more than a limit, and least is paid for that.

    None where everything costs more.
    """
    kept = costs <= limit
    if not kept.any():
        return None
    best = kept & (hits == hits[kept].max())
    flat = int(np.where(best, costs, np.inf).argmin())
    return tuple(int(at) for at in np.unravel_index(flat, hits.shape))


def polished(table: Table, thresholds: Array, budget: float) -> Array:
    """Thresholds that no change of any two of them betters, starting from some within the budget.

    Args:
        table: of validation images.
        thresholds: to begin with.
        budget: on the mean cost of an image.
    """
    best, options = thresholds, [candidates(of, CANDIDATES) for of in table.scores.T]
    if math.prod(map(len, options)) <= CELLS:
        return best  # all combinations were judged
    before: tuple[int, int] | None = None
    while (now := rank(table.judge(best))) != before:
        before = now
        for pair in _pairs(table.early):
            own = [np.unique([*options[number], best[number]]) for number in pair]
            place = pick(*grid(table.reduced(best, pair), own), budget * len(table))
            assert place is not None, "what there is keeps the budget"
            changed = best.copy()
            changed[list(pair)] = [one[at] for one, at in zip(own, place, strict=True)]
            best = min(best, changed, key=lambda one: rank(table.judge(one)))
    return best


def _pairs(early: int) -> Iterator[tuple[int, int]]:
    """All pairs of exits; where these would be too many, those of exits close to each other."""
    reach = max(PAIRS // early, 1)
    return (
        (one, other)
        for one, other in itertools.combinations(range(early), 2)
        if other - one <= reach
    )


def rank(outcome: Outcome) -> tuple[int, int]:
    """Lower is better: more images right, then less cost."""
    return -outcome.hits, outcome.cost


def _within(table: Table, points: Sequence[Array], budget: float) -> list[Array]:
    """The best of some thresholds that keep a budget, if any does."""
    judged = [(rank(outcome), number) for number, one in enumerate(points)
              if (outcome := table.judge(one)).cost <= budget * len(table)]  # fmt: skip
    return [points[min(judged)[1]]] if judged else []
