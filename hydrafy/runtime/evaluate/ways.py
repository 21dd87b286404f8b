"""The ways to run gates that are open by chance: by their threshold, all open, or by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from hydrafy.errors import OptionError, nearest
from hydrafy.train.data import Array

Kind = Literal["threshold", "always-on", "stochastic", "ensemble"]

BY_CHANCE = ("stochastic", "ensemble")
RUNS = 5  # of a way that runs images several times, as in the paper's tables
MOST, DIGITS = 1000, 9  # runs, and what is read of their number


@dataclass(frozen=True)
class Way:
    """One of the inference strategies of the paper on probabilistic gates, Section 3.2.

    `threshold` opens the gates whose probability reaches the run-time input, `always-on` opens all.
    `stochastic` opens each with its probability; several runs tell how far the accuracy spreads.
    An `ensemble` adds up what several such runs make of an image.

    Attributes:
        kind: which of them.
        runs: how often each image is run.
    """

    kind: Kind
    runs: int = 1

    def __post_init__(self) -> None:
        """Refuses a number of runs that makes no sense.

        Raises:
            OptionError: naming it.
        """
        least, most = {"stochastic": (1, MOST), "ensemble": (2, MOST)}.get(self.kind, (1, 1))
        if not least <= self.runs <= most:
            fitting = f"{least} to {most} runs" if least < most else "a single run"
            raise OptionError(f"{self.kind}={self.runs} makes no sense: it takes {fitting}")

    @property
    def by_chance(self) -> bool:
        """Whether gates are open by chance."""
        return self.kind in BY_CHANCE

    @property
    def passes(self) -> int:
        """How many runs it takes to classify an image."""
        return self.runs if self.kind == "ensemble" else 1

    def __str__(self) -> str:
        return f"{self.kind}={self.runs}" if self.by_chance else self.kind


THRESHOLD, ALWAYS_ON = Way("threshold"), Way("always-on")


def parse(text: str) -> tuple[Way, ...]:
    """Reads `threshold,always-on,stochastic=5,ensemble=5`; without a number it is five runs.

    Raises:
        OptionError: a word is no way, is there twice, or its number makes no sense.
    """
    ways = [_way(word.strip()) for word in text.split(",")]
    twice = next((way for way in ways if ways.count(way) > 1), None)
    if twice is not None:
        raise OptionError(f"--gates names {twice} twice: leave one out")
    return tuple(ways)


def _way(word: str) -> Way:
    name, sign, number = word.partition("=")
    kind: Kind | None = next((known for known in get_args(Kind) if known == name), None)
    if kind is None:
        raise OptionError(
            f"--gates {word!r} is no way to run gates: {nearest(name, get_args(Kind))}"
        )
    if not sign:
        return Way(kind, RUNS if kind in BY_CHANCE else 1)
    if not number.isdecimal() or len(number) > DIGITS:
        raise OptionError(f"--gates {word} makes no sense: write a number of runs, {name}={RUNS}")
    return Way(kind, int(number))


def noise(seed: int, run: int, rows: Sequence[int] | Array, place: int, columns: int) -> Array:
    """Uniform noise for run-time inputs that are bounds on probabilities.

    Each image has its own, whatever else is run and in which batches: of a generator that counts,
    the numbers behind one count, made of the row, the run and the input.

    Args:
        seed: of all of it, from 0 on.
        run: of the same images, from 0 on.
        rows: of the images in their stream.
        place: of the run-time input, among those of its file.
        columns: how many numbers an image gets.

    Returns:
        float32 [rows, columns], at least 0 and below 1.
    """
    made = np.empty((len(rows), columns), np.float32)
    for line, row in zip(made, rows, strict=True):
        bits = np.random.Philox(key=seed, counter=[0, place, run, int(row)])
        np.random.Generator(bits).random(out=line, dtype=np.float32)
    return made
