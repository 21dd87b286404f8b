"""Timing side by side: every contender runs each sample in turn, and medians are compared."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one contender: median, quartiles and 95th percentile over all samples."""

    name: str
    median: float
    low: float
    high: float
    p95: float


def interleave(
    contenders: dict[str, Callable[[int], object]], samples: int, repeats: int, warm_up: int = 1
) -> tuple[dict[str, Timing], dict[str, np.ndarray]]:
    """Times contenders in turn: A(0) B(0) A(1) B(1) ..., all samples, several times over.

    Args:
        contenders: by name, what runs the sample of a number.
        samples: how many samples there are.
        repeats: how often all of them run.
        warm_up: passes over the samples that are not counted.

    Returns:
        A summary for each contender, and its milliseconds as [repeats, samples].
    """
    names = list(contenders)
    taken = {name: np.zeros((repeats, samples)) for name in names}
    for repeat in range(-warm_up, repeats):
        for sample in range(samples):
            turn = (repeat + sample) % len(names)
            for name in names[turn:] + names[:turn]:
                start = time.perf_counter()
                contenders[name](sample)
                spent = time.perf_counter() - start
                if repeat >= 0:
                    taken[name][repeat, sample] = spent * 1e3
    return {name: _summary(name, values) for name, values in taken.items()}, taken


def ratio(above: np.ndarray, below: np.ndarray) -> tuple[float, float, float]:
    """Median and quartiles of the ratio of two contenders, sample by sample.

    Each sample's time is its median over the repeats, so that a disturbed run does not count.
    """
    values = np.median(above, axis=0) / np.median(below, axis=0)
    low, middle, high = np.percentile(values, [25, 50, 75])
    return float(middle), float(low), float(high)


def _summary(name: str, values: np.ndarray) -> Timing:
    low, middle, high, late = np.percentile(values, [25, 50, 75, 95])
    return Timing(name, float(middle), float(low), float(high), float(late))


def batches(images: np.ndarray, size: int) -> Sequence[np.ndarray]:
    """The images in consecutive batches of one size; a rest is left out."""
    return [images[i : i + size] for i in range(0, len(images) - size + 1, size)]
