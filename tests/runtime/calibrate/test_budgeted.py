"""The paper's rule, against its words put down one by one."""

import math

import numpy as np
import pytest
from hypothesis import given, settings

from hydrafy.runtime.calibrate.budgeted import paper, thresholds
from hydrafy.runtime.calibrate.table import Table
from tests.runtime.calibrate.tables import made, tables


def literal(table: Table, p: float) -> list[float]:
    """For each exit, the confidence of the floor(N q_k)-th most confident of who is left."""
    count, exits = len(table), table.early + 1
    left, found = list(range(count)), []
    for k in range(1, exits):
        share = p**k / sum(p**m for m in range(1, exits + 1))
        leaving = math.floor(count * share)
        sure = sorted((table.scores[row, k - 1] for row in left), reverse=True)
        if leaving == 0:
            found.append(math.inf)
        elif leaving > len(sure):
            found.append(-math.inf)
        else:
            found.append(sure[leaving - 1])
        left = [row for row in left if table.scores[row, k - 1] < found[-1]]
    return found


@settings(max_examples=60, deadline=None, derandomize=True)
@given(tables(images=30))
def test_all_39_points_are_as_the_paper_has_them(table: Table) -> None:
    points = [*paper(table)]
    assert [one.tolist() for one in points] == [literal(table, j / 20) for j in range(1, 40)]


def test_an_exit_with_less_than_an_image_takes_nobody() -> None:
    table = made(10, 2)
    assert thresholds(table, 0.05)[1] == math.inf  # q_2 = 0.0475 of 10 images
    assert thresholds(table, 1.95)[0] == sorted(table.scores[:, 0])[-1]  # q_1 = 0.145


def test_an_exit_for_which_too_few_are_left_takes_them_all() -> None:
    scores = np.array([[0.5, 0.1], [0.5, 0.2], [0.5, 0.3], [0.5, 0.4]])  # ties leave together
    table = Table(scores, np.ones((4, 3), bool), np.ones((4, 3), np.int64))
    assert thresholds(table, 1.0).tolist() == [0.5, -math.inf]


@pytest.mark.parametrize("ratio", [0.05, 1.0, 1.95])
def test_exits_get_their_shares(ratio: float) -> None:
    scores = np.random.default_rng(0).random((10_000, 3))
    table = Table(scores, np.ones((10_000, 4), bool), np.ones((10_000, 4), np.int64))
    weights = ratio ** np.arange(1, 5)
    shares = table.judge(thresholds(table, ratio)).shares
    np.testing.assert_allclose(shares, weights / weights.sum(), atol=4e-4)
