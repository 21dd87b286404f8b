"""Small tables for hypothesis, with scores that tie and costs in no order."""

from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st

from hydrafy.runtime.calibrate.table import Outcome, Table

SCORES = [0.0, 0.25, 0.5, 0.75, 1.0]


@st.composite
def tables(draw: st.DrawFn, most: int = 3, least: int = 0, images: int = 12) -> Table:
    """A table of up to `most` early exits."""
    early, count = draw(st.integers(least, most)), draw(st.integers(1, images))

    def rows(each: st.SearchStrategy[object], columns: int) -> list[list[object]]:
        row = st.lists(each, min_size=columns, max_size=columns)
        return draw(st.lists(row, min_size=count, max_size=count))

    return Table(
        np.array(rows(st.sampled_from(SCORES), early), float).reshape(count, early),
        np.array(rows(st.booleans(), early + 1)),
        np.array(rows(st.integers(0, 20), early + 1), np.int64),
    )


def thresholds(early: int) -> st.SearchStrategy[list[float]]:
    """Of all exits: at scores, between them, and beyond."""
    every = st.sampled_from([-np.inf, *SCORES, 0.6, np.inf])
    return st.lists(every, min_size=early, max_size=early)


def made(images: int, early: int, seed: int = 0) -> Table:
    """A table of exits that are surer and better and dearer, the later they come."""
    rng = np.random.default_rng(seed)
    hard = rng.random((images, 1))
    right = rng.random((images, early + 1)) < np.linspace(0.5, 0.95, early + 1) * (1.3 - hard)
    scores = np.clip(1 - hard + rng.normal(0, 0.2, (images, early)), 0, 1)
    costs = np.cumsum(rng.integers(1, 10, (1, early + 1)), axis=1).repeat(images, axis=0)
    return Table(scores, right, costs)


def judged(table: Table, given: list[float]) -> Outcome:
    """What `Table.judge` has to say, image by image."""
    places = [*_places(table, given)]
    hits = sum(bool(table.hits[row, place]) for row, place in enumerate(places))
    cost = sum(int(table.costs[row, place]) for row, place in enumerate(places))
    shares = [places.count(number) / len(places) for number in range(table.early + 1)]
    return Outcome(hits, cost, len(places), tuple(shares))


def _places(table: Table, given: list[float]) -> Iterator[int]:
    for scores in table.scores.tolist():
        for number, (score, threshold) in enumerate(zip(scores, given, strict=True)):
            if score >= threshold:
                yield number
                break
        else:
            yield table.early
