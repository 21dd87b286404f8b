"""The verdict: which word, and where a line through what was measured crosses break-even."""

import pytest

from hydrafy.runtime.bench.verdict import verdict, wins_from
from hydrafy.runtime.timing import Ratio


@pytest.mark.parametrize(
    ("points", "wanted"),
    [
        ([(0, 1.2), (0.5, 0.8), (1, 0.4)], 0.25),
        ([(1, 0.4), (0, 1.2), (0.5, 0.8)], 0.25),  # in any order
        ([(0, 1.1), (0.5, 1.1), (1, 1.0)], None),
        ([(0, 0.9), (1, 0.5)], 0.0),
        ([(0, 0.9), (0.4, 1.1), (1, 0.9)], 0.7),  # what comes before the last crossing is no win
        ([(0.3, 1.2)], None),
        ([(0.3, 0.9), (0.8, 0.5)], 0.3),  # of less nobody knows
    ],
)
def test_where_it_begins_to_win(points: list[tuple[float, float]], wanted: float | None) -> None:
    assert wins_from(points) == (None if wanted is None else pytest.approx(wanted))


@pytest.mark.parametrize(
    ("ratio", "word"),
    [
        (Ratio(0.9, 0.85, 0.95, 0.9), "faster, 0.90 of"),
        (Ratio(0.9, 0.85, 1.01, 0.9), "break-even within the spread, 0.90 of"),
        (Ratio(1.2, 1.01, 1.3, 1.2), "slower, 1.20 of"),
        (Ratio(0.3, 0.25, 1.05, 0.5), "faster on the whole, 0.50 of"),
        (Ratio(1.1, 0.3, 2.0, 1.2), "slower on the whole, 1.20 of"),
        (Ratio(1.05, 1.02, 1.1, 0.7), "faster on the whole, 0.70 of"),  # a few are much faster
        (Ratio(0.95, 0.9, 0.98, 1.05), "break-even within the spread, 1.05 of"),
    ],
)
def test_the_spread_decides_which_word_is_said(ratio: Ratio, word: str) -> None:
    assert word in verdict(8, ratio, 0.5, None, ())


def test_the_sentence_says_from_where_on_it_wins() -> None:
    found = Ratio(0.9, 0.8, 0.95, 0.9)
    assert verdict(8, found, 0.5, 0.25, (0, 1)).endswith("; it wins from 25 % on.")
    text = verdict(8, found, 0.5, 0.25, ())
    assert text.startswith("Batch 8:") and "50 %" in text and "wins" not in text


@pytest.mark.parametrize(
    ("wins", "forced", "end"),
    [
        (None, (0, 0.5, 1), "it would not win if it skipped all of it."),
        (None, (0, 0.76), "it would not win with 76 % skipped, either."),
        (0.0, (0, 1), "it wins even if it skips none of it."),
        (0.32, (0.32, 1), "it wins even with only 32 % skipped."),
    ],
)
def test_the_sentence_speaks_of_no_share_that_was_not_seen(
    wins: float | None, forced: tuple[float, ...], end: str
) -> None:
    assert verdict(8, Ratio(0.9, 0.8, 0.95, 0.9), 0.5, wins, forced).endswith(f"; {end}")
