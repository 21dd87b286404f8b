"""The search keeps its budget, is exact where it can be, and never worse than the paper's rule."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.runtime.calibrate.budgeted import paper
from hydrafy.runtime.calibrate.searched import (
    CANDIDATES,
    candidates,
    grid,
    pick,
    rank,
    search,
    together,
)
from hydrafy.runtime.calibrate.table import Table
from tests.runtime.calibrate.tables import made, tables

LAWS = settings(max_examples=60, deadline=None, derandomize=True)
BUDGETS = st.integers(0, 20).map(float)


def best(table: Table, budget: float) -> tuple[int, int] | None:
    """Images that are right, and less the cost, of the best of all thresholds there are."""
    options = [[-math.inf, *sorted(set(column)), math.inf] for column in table.scores.T.tolist()]
    every = (table.judge(np.array(one, float)) for one in itertools.product(*options))
    kept = [(one.hits, -one.cost) for one in every if one.cost <= budget * len(table)]
    return max(kept, default=None)


@LAWS
@given(tables(), BUDGETS)
def test_it_is_exact_on_small_tables(table: Table, budget: float) -> None:
    (found,) = search(table, [budget])
    outcome = None if found is None else table.judge(found)
    assert (outcome and (outcome.hits, -outcome.cost)) == best(table, budget)


@LAWS
@given(tables(), st.data())
def test_all_combinations_are_judged_as_one_by_one(table: Table, data: st.DataObject) -> None:
    level = st.sampled_from([-math.inf, 0.0, 0.25, 0.3, 1.0, math.inf])
    options = [np.array(sorted(data.draw(st.sets(level, min_size=1)))) for _ in range(table.early)]
    hits, costs = grid(table, options)
    for place in itertools.product(*(range(len(own)) for own in options)):
        outcome = table.judge([own[at] for own, at in zip(options, place, strict=True)])
        assert (hits[place], costs[place]) == (outcome.hits, outcome.cost)


@pytest.mark.parametrize("early", [1, 2, 3, 4, 7])
def test_it_keeps_budgets_and_beats_the_paper_on_its_own_table(early: int) -> None:
    table = made(600, early)
    least, most = table.costs[0, [0, -1]]
    budgets = np.linspace(least, most, 5).tolist()
    better = 0
    for budget, found in zip(budgets, search(table, budgets), strict=True):
        assert found is not None
        outcome = table.judge(found)
        assert outcome.cost <= budget * len(table)
        rivals = [table.judge(one) for one in (*paper(table), *together(table))]
        rival = max(one.hits for one in rivals if one.cost <= budget * len(table))
        assert outcome.hits >= rival
        better += outcome.hits > rival
    assert better >= 2


def test_pairs_in_turn_come_close_to_what_is_exact() -> None:
    """Two exits at which nobody is right, dear ones, hide among three that matter."""
    table = made(400, 3)
    (exact,) = search(table, [0.6 * table.costs[0, -1]])
    useless = np.zeros((400, 2))
    scores = np.hstack([table.scores[:, :1], useless, table.scores[:, 1:]])
    hits = np.hstack([table.hits[:, :1], useless > 0, table.hits[:, 1:]])
    costs = np.hstack(
        [table.costs[:, :1], table.costs[:, 1:2], table.costs[:, 1:2], table.costs[:, 1:]]
    )
    (found,) = search(Table(scores, hits, costs), [0.6 * table.costs[0, -1]])
    assert exact is not None and found is not None
    close = Table(scores, hits, costs).judge(found).hits
    assert close >= 0.995 * table.judge(exact).hits


@pytest.fixture(scope="module")
def many() -> tuple[Table, float, np.ndarray]:
    """A table, a budget, and what is found for it in more than one round of pairs."""
    table = made(200, 7, seed=1)
    budget = 0.6 * float(table.costs[0, -1])
    (found,) = search(table, [budget])
    assert found is not None
    return table, budget, found


def test_it_betters_what_it_starts_from(many: tuple[Table, float, np.ndarray]) -> None:
    table, budget, found = many
    coarse = [candidates(scores, 7) for scores in table.scores.T]
    place = pick(*grid(table, coarse), budget * len(table))
    assert place is not None
    start = np.array([own[at] for own, at in zip(coarse, place, strict=True)])
    starts = [table.judge(one) for one in (start, *paper(table), *together(table))]
    kept = [one.hits for one in starts if one.cost <= budget * len(table)]
    assert table.judge(found).hits >= 1.05 * max(kept)


def test_no_change_of_two_thresholds_betters_what_it_finds(
    many: tuple[Table, float, np.ndarray],
) -> None:
    """Where the others stay, two are exactly searched."""
    table, budget, found = many
    for pair in itertools.combinations(range(7), 2):
        rest = table.reduced(found, pair)
        (two,) = search(rest, [budget])
        assert two is not None
        assert rank(rest.judge(two)) >= rank(table.judge(found)), pair


def test_a_budget_below_everything_is_kept_by_nothing() -> None:
    table = made(50, 2)
    assert search(table, [float(table.costs.min()) - 0.5]) == [None]


def test_many_exits_are_no_problem() -> None:
    table = made(40, 24)
    (found,) = search(table, [0.3 * table.costs[0, -1]])
    assert found is not None and table.judge(found).mean <= 0.3 * table.costs[0, -1]


def test_candidates_are_everybody_quantiles_and_nobody() -> None:
    few = candidates(np.array([0.3, 0.1, 0.3, 0.2]), CANDIDATES)
    assert few.tolist() == [-math.inf, 0.2, 0.3, math.inf]  # at 0.1, too, everybody leaves
    many = candidates(np.arange(1000.0), 5)
    assert many.tolist() == [-math.inf, 250, 500, 750, math.inf]
    assert candidates(np.arange(9.0), 1).tolist() == [math.inf]
