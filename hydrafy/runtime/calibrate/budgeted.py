"""The paper's rule: thresholds from the share of images that should leave at each exit.

Source: Improved Techniques for Training Adaptive Deep Networks (2019), budgeted batch
classification as in MSDNet (Huang et al., 2018), Section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hydrafy.runtime.calibrate.table import Table
from hydrafy.train.data import Array

POINTS = tuple(number / 20 for number in range(1, 40))
"""How much more likely an image is to leave at an exit than at the one before."""


def paper(table: Table) -> Iterator[Array]:
    """The rule's thresholds, float64 [early exits], for each of its 39 points."""
    for ratio in POINTS:
        yield thresholds(table, ratio)


def thresholds(table: Table, ratio: float) -> Array:
    """The thresholds at which exit k gets its share `ratio^k / sum_m ratio^m` of all images.

    Each exit takes the most confident of those who are left. An exit whose share is less than an
    image takes nobody, and one for which too few are left takes them all.

    Args:
        table: of validation images.
        ratio: p in the paper.
    """
    weights = ratio ** np.arange(1, table.early + 2)
    wanted = np.floor(len(table) * weights / weights.sum()).astype(int)
    left = np.ones(len(table), bool)
    found = np.full(table.early, np.inf)
    for number, count in enumerate(wanted[:-1]):
        scores = table.scores[:, number]
        best = np.sort(scores[left])[::-1]
        if count > 0:
            found[number] = best[count - 1] if count <= len(best) else -np.inf
        left &= scores < found[number]
    return found
