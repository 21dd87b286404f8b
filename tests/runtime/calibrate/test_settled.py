"""A threshold of a table and its number in the run-time input let the same images leave."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.ir.manifest import RuntimeInput
from hydrafy.runtime.calibrate.settled import Slot

SURE = RuntimeInput("tau", 0.0, 1.1, 1.1, "leave")
STAY = RuntimeInput("tau", 0.0, 1.0, 0.0, "stay")
PLACES = [Slot(SURE, 0, leaves=True), Slot(STAY, 0, leaves=False)]
SHARES = st.floats(2**-10, 1 - 2**-10, width=32)


def leave(place: Slot, value: float, scores: np.ndarray) -> list[bool]:
    """Who leaves in the network, which compares in float32."""
    own = (scores if place.leaves else -scores).astype(np.float32)
    reached = own >= np.float32(value)
    return (reached if place.leaves else ~reached).tolist()


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=80, deadline=None, derandomize=True)
@given(given_scores=st.lists(SHARES, min_size=1, max_size=8), data=st.data())
def test_the_same_images_leave(place: Slot, given_scores: list[float], data: st.DataObject) -> None:
    scores = np.array(given_scores) * (1 if place.leaves else -1)
    beyond = [-np.inf, np.inf, scores.min() - 0.1, scores.max() + 0.1]
    threshold = data.draw(st.sampled_from([*scores.tolist(), *beyond]))
    value = place.value(threshold, scores)
    assert leave(place, value, scores) == (scores >= threshold).tolist()
    back = place.threshold(float(np.float32(value)))
    assert (scores >= back).tolist() == (scores >= threshold).tolist()


def test_neighbours_in_float32_are_told_apart() -> None:
    low = np.float32(0.5)
    scores = np.array([low, np.nextafter(low, np.float32(1))], np.float64)
    assert leave(PLACES[0], PLACES[0].value(scores[1], scores), scores) == [False, True]
    own = -scores
    assert leave(PLACES[1], PLACES[1].value(own[0], own), own) == [True, False]


@pytest.mark.parametrize(("place", "left"), [(PLACES[0], True), (PLACES[1], False)])
def test_a_score_reaches_a_threshold_that_equals_it(place: Slot, left: bool) -> None:
    scores = np.array([0.5 if place.leaves else -0.5])
    assert leave(place, 0.5, scores) == [left]
    assert (scores >= place.threshold(0.5)).tolist() == [left]


def test_where_all_leave_those_do_who_stay_with_a_probability_that_rounds_to_one() -> None:
    """Their log-odds are finite, those of the threshold are not."""
    scores = np.array([-1.0, -0.5])
    assert (scores >= PLACES[1].threshold(1.0)).all()


def test_it_stands_in_the_middle() -> None:
    assert PLACES[0].value(0.75, np.array([0.25, 0.75, 1.0])) == 0.5
    assert PLACES[1].value(-0.25, np.array([-0.25, -0.75])) == 0.5
