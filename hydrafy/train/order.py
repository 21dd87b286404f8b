"""The order in which images are seen: which rows each batch of an epoch has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hydrafy.train.data import Array


@dataclass(frozen=True)
class Order:
    """A fresh random order for each epoch, the same ones for the same seed.

    Where several processes train together, each takes its share of every batch: together they see
    what one process sees alone.

    Attributes:
        count: of images.
        batch_size: images a batch, in all processes together.
        seed: of the order.
        process: which of the processes this is.
        processes: how many there are.
    """

    count: int
    batch_size: int
    seed: int
    process: int = 0
    processes: int = 1

    @property
    def batches(self) -> int:
        """How many batches an epoch has.

        A last batch of one image is left out: no BatchNorm could train on it.
        """
        whole, rest = divmod(self.count, self.batch_size)
        return whole + (rest >= 2 or (whole == 0 and rest > 0))

    def rows(self, epoch: int) -> list[Array]:
        """The rows of each batch of an epoch, for this process; there may be none for it."""
        shuffled = np.random.default_rng([self.seed, epoch]).permutation(self.count)
        starts = range(0, self.batches * self.batch_size, self.batch_size)
        batches = (shuffled[start : start + self.batch_size] for start in starts)
        return [batch[self.process :: self.processes] for batch in batches]


def step_seed(seed: int, step: int, process: int = 0) -> int:
    """The seed of a step's randomness, so that it depends on nothing that came before."""
    words: Sequence[int] = np.random.SeedSequence([seed, step, process]).generate_state(2).tolist()
    return words[0] << 31 | words[1] >> 1
