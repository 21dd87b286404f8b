"""Timing side by side: every contender runs each sample in turn, several times."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hydrafy.train.data import Array

Contender = Callable[[int], object]
"""Runs the sample of a number."""

FEWEST, MOST = 12, 512  # rounds, in each of which every contender runs one sample


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one contender.

    Attributes:
        median: of all runs.
        low: the lower quartile.
        high: the upper one.
        p95: the 95th percentile.
        mean: of all samples, each with the median of its repeats: what many of them take together,
            also where a network does much for one and little for another.
    """

    median: float
    low: float
    high: float
    p95: float
    mean: float

    def of_one(self, size: int) -> Timing:
        """For one image of batches of some size."""
        return Timing(*(value / size for value in dataclasses.astuple(self)))


@dataclass(frozen=True)
class Ratio:
    """How one contender's time is to another's.

    Attributes:
        median: of the samples.
        low: the lower quartile.
        high: the upper one.
        mean: how their means are to each other.
    """

    median: float
    low: float
    high: float
    mean: float


def interleave(
    contenders: Sequence[Contender],
    samples: int,
    repeats: int,
    warm_up: int = 1,
    counted: Callable[[int, int], None] = lambda done, of: None,
    *,
    again: bool = False,
) -> Array:
    """Times contenders in random turn: B(0) A(0) A(1) B(1) ..., all samples, several times over.

    Each runs the sample before, unclocked, right before its turn: a network that is deployed runs
    alone, and finds its weights in the caches as far as they fit. Against an oracle, of which each
    sample has its own, both run the same sample twice: of two oracles each has weights of its own.

    Args:
        contenders: who takes part.
        samples: how many samples there are.
        repeats: how often all of them run.
        warm_up: passes over the samples before that, which are not counted.
        counted: for progress: how many rounds are done, and of how many.
        again: whether a sample itself runs right before it is clocked, not the one before.

    Returns:
        Milliseconds, [contenders, repeats, samples].
    """
    taken = np.zeros((len(contenders), repeats, samples))
    rng = np.random.default_rng(0)
    for repeat in range(-warm_up, repeats):
        for sample in range(samples):
            counted((repeat + warm_up) * samples + sample, (repeats + warm_up) * samples)
            for number in rng.permutation(len(contenders)):
                contenders[number](sample if again else (sample - 1) % samples)
                spent = clock(contenders[number], sample)
                if repeat >= 0:
                    taken[number, repeat, sample] = spent
    return taken


def limited(
    contenders: Sequence[Contender],
    samples: int,
    seconds: float,
    counted: Callable[[int, int], None] = lambda done, of: None,
    *,
    again: bool = False,
) -> Array:
    """Times contenders in turn, in as many rounds as there is time for, but some in any case.

    Args:
        contenders: who takes part.
        samples: how many samples there are.
        seconds: about how long it may take.
        counted: for progress, see `interleave`.
        again: whether a sample itself runs right before it is clocked, see `interleave`.

    Returns:
        Milliseconds, [contenders, repeats, samples]; samples may be fewer than given.
    """
    spent = sum(clock(one, 0) for one in contenders) / 1e3
    rounds = min(max(int(seconds / (2 * spent)), FEWEST), MOST)
    samples = min(samples, rounds // 4)  # each three times, and once to warm up
    return interleave(contenders, samples, rounds // samples - 1, 1, counted, again=again)


def clock(contender: Contender, sample: int) -> float:
    """Milliseconds of one sample."""
    start = time.perf_counter()
    contender(sample)
    return (time.perf_counter() - start) * 1e3


def summary(taken: Array) -> Timing:
    """What a contender took, from its milliseconds [repeats, samples]."""
    low, middle, high, late = np.percentile(taken, [25, 50, 75, 95])
    mean = np.median(taken, axis=0).mean()
    return Timing(float(middle), float(low), float(high), float(late), float(mean))


def ratio(above: Array, below: Array) -> Ratio:
    """The ratio of two contenders' milliseconds [repeats, samples], sample by sample.

    Each sample's time is its median over the repeats, so that a disturbed run does not count.
    """
    mine, other = np.median(above, axis=0), np.median(below, axis=0)
    low, middle, high = np.percentile(mine / other, [25, 50, 75])
    return Ratio(float(middle), float(low), float(high), float(mine.mean() / other.mean()))


def batches(images: Array, size: int) -> list[Array]:
    """The images in consecutive batches of one size; a rest is left out."""
    return [images[i : i + size] for i in range(0, len(images) - size + 1, size)]
