"""A table: what images do at each exit, of which any thresholds are judged without running them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hydrafy.train.data import Array


@dataclass(frozen=True)
class Outcome:
    """What thresholds make of a table's images.

    Attributes:
        hits: how many are classified right.
        cost: the sum of what all cost.
        images: how many there are.
        shares: of the images that leave at each exit, the last included.
    """

    hits: int
    cost: int
    images: int
    shares: tuple[float, ...]

    @property
    def top1(self) -> float:
        """The share of images that are classified right."""
        return self.hits / self.images

    @property
    def mean(self) -> float:
        """What an image costs."""
        return self.cost / self.images


@dataclass(frozen=True, eq=False)
class Table:
    """What every exit makes of every image.

    Attributes:
        scores: an image leaves at the first early exit at which its score is at or over the
            threshold, float64 [images, exits - 1].
        hits: whether an exit is right, bool [images, exits].
        costs: of an image that leaves at an exit, MACs or nanoseconds, int64 [images, exits]:
            whole numbers, so that sums are exact.
    """

    scores: Array
    hits: Array
    costs: Array

    def __len__(self) -> int:
        count: int = self.hits.shape[0]
        return count

    @property
    def early(self) -> int:
        """The number of early exits."""
        columns: int = self.scores.shape[1]
        return columns

    def places(self, thresholds: Sequence[float] | Array) -> Array:
        """At which exit each image leaves, int64 [images].

        Args:
            thresholds: one for each early exit; infinity where nobody leaves.
        """
        leaves = np.hstack([self.scores >= np.asarray(thresholds), np.ones((len(self), 1), bool)])
        first: Array = leaves.argmax(1)
        return first

    def judge(self, thresholds: Sequence[float] | Array) -> Outcome:
        """What thresholds make of the images, see `places`."""
        where = self.places(thresholds)
        counts = np.bincount(where, minlength=self.early + 1)
        each = np.arange(len(self)), where
        shares = tuple((counts / len(self)).tolist())
        return Outcome(int(self.hits[each].sum()), int(self.costs[each].sum()), len(self), shares)

    def rows(self, which: Array) -> Table:
        """The table of some of the images."""
        return Table(self.scores[which], self.hits[which], self.costs[which])

    def reduced(self, thresholds: Array, free: Sequence[int]) -> Table:
        """The table of some early exits, where the thresholds of the others are settled.

        Who leaves at a settled exit does so, whatever comes behind it.

        Args:
            thresholds: of all early exits; those of the free ones do not matter.
            free: the numbers of the others, ascending.
        """
        settled = np.array(thresholds, float)
        settled[list(free)] = np.inf
        ends = self.places(settled)
        columns = np.minimum([*free, self.early], ends[:, None])
        hits, costs = (np.take_along_axis(of, columns, axis=1) for of in (self.hits, self.costs))
        return Table(self.scores[:, list(free)], hits, costs)
