"""Counts: the rank of the right class, and sums that do not depend on how images are batched."""

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.analysis.predication.executed import Work
from hydrafy.analysis.predication.predicates import Condition, Predicate
from hydrafy.ir.manifest import Leaving
from hydrafy.runtime.evaluate.counts import Counts, count, ranks

FEW = st.integers(0, 3).map(float) | st.sampled_from([np.inf, -np.inf])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(FEW, min_size=2, max_size=8), st.data())
def test_ranks_are_those_of_a_stable_sort(scores: list[float], data: st.DataObject) -> None:
    label = data.draw(st.integers(0, len(scores) - 1))
    order = np.argsort(-np.array(scores), kind="stable").tolist()
    assert ranks(np.array([scores]), np.array([label])).tolist() == [order.index(label)]
    assert (order.index(label) == 0) == (int(np.argmax(scores)) == label)


def test_scores_that_are_no_numbers_are_right_nowhere() -> None:
    scores = np.array([[np.nan, 1, 2], [3, np.nan, 2], [0, 1, 2]], np.float32)
    found = ranks(scores, np.array([0, 0, 2]))
    assert (found >= 5).tolist() == [True, True, False]


def counted(rows: slice) -> Counts:
    rng = np.random.default_rng(0)
    scores, labels = rng.standard_normal((30, 7)), rng.integers(0, 6, 30)
    found = {"d": rng.random((30, 2)) < 0.5, "all": rng.random(30) < 0.5}
    one, other = Predicate("one", "d", 0), Predicate("all", "all")
    works = (Work(frozenset(), 5), Work(frozenset({Condition(one), Condition(other, False)}), 3))
    exits = (Leaving("d", 1, True), Leaving("d", 0, False))
    some = {name: array[rows] for name, array in found.items()}
    return count(scores[rows], labels[rows], works, (one, other), ["d"], exits, some)


def test_counts_of_batches_add_up_to_those_of_all() -> None:
    whole = counted(slice(None))
    parts = counted(slice(0, 7)) + counted(slice(7, 8)) + counted(slice(8, 30))
    for field in dataclasses.fields(Counts):
        a, b = getattr(whole, field.name), getattr(parts, field.name)
        assert np.array_equal(a, b), field.name
    assert whole.images.sum() == 30
    assert whole.images[6] == 0
    assert len(whole.images) == 7
    assert (whole.first <= whole.best).all() and (whole.best <= whole.images).all()


def test_works_run_where_all_conditions_are_met() -> None:
    rng = np.random.default_rng(0)
    _, labels = rng.standard_normal((30, 7)), rng.integers(0, 6, 30)
    d, every = rng.random((30, 2)) < 0.5, rng.random(30) < 0.5
    whole = counted(slice(None))
    assert whole.ran.tolist() == [30, (d[:, 0] & ~every).sum()]
    by_hand = [[which[labels == label].sum() for label in range(7)] for which in (d[:, 0], every)]
    assert whole.held.tolist() == by_hand
    assert whole.chosen[0].tolist() == d.sum(0).tolist()
    stay = ~d[:, 1]
    assert whole.left.tolist() == [d[:, 1].sum(), (stay & ~d[:, 0]).sum(), (stay & d[:, 0]).sum()]
