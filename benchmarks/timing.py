"""Timing of contenders that have names, in the one way that hydrafy times."""

from collections.abc import Callable

import numpy as np

from hydrafy.runtime import timing
from hydrafy.runtime.timing import Timing, batches

__all__ = ["Timing", "batches", "interleave", "ratio"]


def interleave(
    contenders: dict[str, Callable[[int], object]],
    samples: int,
    repeats: int,
    warm_up: int = 1,
    *,
    again: bool = False,
) -> tuple[dict[str, Timing], dict[str, np.ndarray]]:
    """Times contenders in turn: see `hydrafy.runtime.timing.interleave`.

    Returns:
        A summary for each contender, and its milliseconds as [repeats, samples].
    """
    taken = timing.interleave(list(contenders.values()), samples, repeats, warm_up, again=again)
    named = dict(zip(contenders, taken, strict=True))
    return {name: timing.summary(values) for name, values in named.items()}, named


def ratio(above: np.ndarray, below: np.ndarray) -> tuple[float, float, float]:
    """Median and quartiles of the ratio of two contenders, sample by sample."""
    found = timing.ratio(above, below)
    return found.median, found.low, found.high
