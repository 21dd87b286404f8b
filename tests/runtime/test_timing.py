"""Timing: who runs when, what is counted, and how samples are compared."""

import itertools
import time

import numpy as np
import pytest

from hydrafy.runtime.timing import (
    FEWEST,
    MOST,
    Timing,
    batches,
    clock,
    interleave,
    limited,
    ratio,
    summary,
)


def test_contenders_run_each_sample_in_turns_that_change() -> None:
    ran: list[tuple[str, int]] = []
    told: list[tuple[int, int]] = []
    contenders = [lambda n, name=name: ran.append((name, n)) for name in "ab"]
    taken = interleave(contenders, 3, 2, 1, lambda *done: told.append(done))
    assert taken.shape == (2, 2, 3)
    assert len(ran) == 2 * 2 * 3 * (2 + 1)
    clocked, before = ran[1::2], ran[::2]
    assert [sample for _, sample in clocked] == [0, 0, 1, 1, 2, 2] * 3
    assert before == [(name, (sample - 1) % 3) for name, sample in clocked]
    firsts = "".join(name for name, _ in clocked[::2])
    assert {first + then for first, then in itertools.pairwise(firsts)} == {
        "aa",
        "ab",
        "ba",
        "bb",
    }  # who comes first says nothing of who comes first next time
    assert told == [(done, 9) for done in range(9)]


def test_what_is_counted_is_milliseconds_without_the_warm_up() -> None:
    naps = iter([0.05, 0.05, 0.05, 0.002, 0.05, 0.002])
    taken = interleave([lambda _: time.sleep(next(naps))], 1, 2)
    assert taken.min() >= 2
    assert taken.max() < 50
    assert clock(lambda _: time.sleep(0.01), 0) >= 10


def test_a_summary_has_median_and_quartiles() -> None:
    found = summary(np.arange(1.0, 102.0).reshape(1, 101))
    assert (found.low, found.median, found.high, found.p95) == (26, 51, 76, 96)


def test_a_disturbed_run_does_not_change_a_ratio() -> None:
    below = np.array([[1.0, 2.0, 4.0]] * 3)
    above = 3 * below
    above[0] = 1000
    found = ratio(above, below)
    assert (found.median, found.low, found.high) == (3, 3, 3)
    assert ratio(below, below).median == 1


def test_a_ratio_is_of_samples_and_not_of_medians() -> None:
    below, above = np.array([[1.0, 10.0, 100.0]]), np.array([[4.0, 20.0, 100.0]])
    assert ratio(above, below).median == 2
    assert ratio(above, below).low == pytest.approx(1.5)


def test_a_mean_is_of_all_samples_and_no_disturbed_run_changes_it() -> None:
    """Half of the images leave early: the median is that of one kind, the bill is that of both."""
    above = np.array([[1.0, 1.0, 1.0, 9.0, 9.0]] * 3)
    above[1, 0] = 1000
    assert summary(above).mean == pytest.approx(21 / 5)
    assert summary(above).median == 1
    assert ratio(above, np.full((3, 5), 6.0)).mean == pytest.approx(0.7)


def test_a_rest_makes_no_batch() -> None:
    assert [b.tolist() for b in batches(np.arange(5), 2)] == [[0, 1], [2, 3]]


def test_rounds_are_as_many_as_there_is_time_for() -> None:
    naps = [lambda _: time.sleep(0.001)] * 2
    assert limited(naps, 4, 0.0).shape[0] == 2
    few, many = limited(naps, 4, 0.0), limited(naps, 4, 0.1)
    assert few.shape[1:] == (3, FEWEST // 4)  # each three times, and once to warm up
    assert few[0].size < many[0].size <= 50
    assert limited(naps[:1], 2, 1e9).size <= MOST


def test_a_timing_of_one_image() -> None:
    assert Timing(8, 4, 12, 16, 20).of_one(4) == Timing(2, 1, 3, 4, 5)
