"""Rules choose among several tables, and are judged by the images that they have not seen."""

import dataclasses

import numpy as np

from hydrafy.runtime.calibrate.budgeted import POINTS, thresholds
from hydrafy.runtime.calibrate.rules import by_paper, choose, held_out
from hydrafy.runtime.calibrate.searched import search
from hydrafy.runtime.calibrate.table import Table
from tests.runtime.calibrate.tables import made


def dearer(table: Table, hits: np.ndarray) -> Table:
    return dataclasses.replace(table, hits=hits, costs=table.costs * 2)


def test_the_better_table_is_chosen_where_it_is_cheap_enough() -> None:
    table = made(200, 2)
    better = dearer(table, np.ones_like(table.hits))
    limit = float(better.costs[0, 0])
    low, high, none = choose([table, better], [limit - 1, limit, 0.5], search)
    assert low is not None and high is not None and none is None
    assert (low.number, high.number) == (0, 1)
    assert high.outcome == better.judge(high.thresholds) and high.outcome.top1 == 1


def test_of_the_papers_points_the_best_that_is_cheap_enough() -> None:
    table = made(300, 2)
    budget = 0.7 * table.costs[0, -1]
    every = [table.judge(thresholds(table, ratio)) for ratio in POINTS]
    (found,) = by_paper(table, [budget])
    assert found is not None
    outcome = table.judge(found)
    assert outcome.mean <= budget
    assert outcome.hits == max(one.hits for one in every if one.mean <= budget)
    assert by_paper(table, [0.0]) == [None]


def test_a_budget_may_be_spent_to_the_last() -> None:
    table = made(300, 2)
    least = min(table.judge(thresholds(table, ratio)).mean for ratio in POINTS)
    (found,) = by_paper(table, [least])
    assert found is not None and table.judge(found).mean == least


def test_of_those_that_are_equally_right_the_cheapest_is_chosen() -> None:
    """Whichever comes first: later exits are cheaper here, and so is the second table."""
    table = made(300, 2)
    table = Table(table.scores, np.ones_like(table.hits), 2 * table.costs[:, ::-1])
    cheaper = dataclasses.replace(table, costs=table.costs // 2)
    budget = float(table.costs.max())
    (found,) = by_paper(table, [budget])
    every = [table.judge(thresholds(table, ratio)).cost for ratio in POINTS]
    assert found is not None and table.judge(found).cost == min(every) < every[0]
    (choice,) = choose([table, cheaper], [budget], search)
    assert choice is not None and choice.number == 1


def test_each_half_judges_what_the_other_chose() -> None:
    table = made(400, 2)
    budget = 0.7 * float(table.costs[0, -1])
    found = held_out([table], budget, search)
    assert found is not None and found.images == 400
    order = np.random.default_rng(0).permutation(400)
    one, other = table.rows(order[:200]), table.rows(order[200:])
    hits = cost = 0
    for chooses, judges in ((one, other), (other, one)):
        (chosen,) = search(chooses, [budget])
        assert chosen is not None
        hits += judges.judge(chosen).hits
        cost += judges.judge(chosen).cost
    assert (found.hits, found.cost) == (hits, cost)
    assert sum(found.shares) == 1
    assert held_out([table], 0.5, search) is None
