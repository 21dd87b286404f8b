"""The verdict of a bench: faster, break-even or slower, and from which share of skipping on."""

from __future__ import annotations

from collections.abc import Sequence

from hydrafy.runtime.timing import Ratio

TIE = 0.12
"""How far from 1 a mean is a tie where some runs are faster and some slower: more than a foreseen
time may be wrong. Farther away images differ: some leave early, and others pay for exits."""


def wins_from(points: Sequence[tuple[float, float]]) -> float | None:
    """The share of skipped work from which on a network is faster than the static one.

    Args:
        points: the share that was skipped, and the time over the static network's; at least one.

    Returns:
        Where a line through the points comes below 1 for the last time; the least share if it
        never is above, None if the last point is not below.
    """
    ordered = sorted(points)
    if ordered[-1][1] >= 1:
        return None
    for (left, over), (right, under) in zip(ordered[-2::-1], ordered[:0:-1], strict=True):
        if over >= 1:
            return left + (right - left) * (over - 1) / (over - under)
    return ordered[0][0]


def verdict(
    batch: int, found: Ratio, skipped: float, wins: float | None, forced: Sequence[float]
) -> str:
    """One sentence on a batch size.

    Args:
        batch: its size.
        found: the network's time over the static one's.
        skipped: the share of the work that could be skipped and was.
        wins: the share from which on it is faster, None if never.
        forced: the shares at which that was found out, ascending; none where it was not.
    """
    what, end = ("faster", found.high) if found.mean < 1 else ("slower", found.low)
    if (end < 1) != (found.mean < 1):
        tie = abs(found.mean - 1) <= TIE
        what = "break-even within the spread" if tie else f"{what} on the whole"
    sentence = (
        f"Batch {batch}: {what}, {found.mean:.2f} of the static network's time, with "
        f"{skipped * 100:.0f} % of the optional work skipped"
    )
    if not forced:
        return f"{sentence}."
    least, most = forced[0], forced[-1]
    if least == most:
        return f"{sentence}."
    if wins is None:
        what = (
            "if it skipped all of it" if most == 1 else f"with {most * 100:.0f} % skipped, either"
        )
        return f"{sentence}; it would not win {what}."
    if wins == least:
        what = "if it skips none of it" if least == 0 else f"with only {least * 100:.0f} % skipped"
        return f"{sentence}; it wins even {what}."
    return f"{sentence}; it wins from {wins * 100:.0f} % on."
