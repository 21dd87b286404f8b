"""Scikit-learn's 1,797 handwritten digits of 8x8 greys, enlarged to what a network takes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hydrafy.runtime.data.classes import classified
from hydrafy.runtime.data.takes import Takes
from hydrafy.train.data import Array, Stream

DIGITS = "digits"
HELD_OUT = 0.25  # for testing
SEED = 0  # of the division into training and test digits
Split = Literal["train", "test"]


def from_digits(takes: Takes, split: Split) -> Stream:
    """The training or the test digits, the same ones each time, a quarter of each for testing.

    Raises:
        DataError: the network has not ten classes, or other ones.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    images, labels = np.asarray(bunch.images), np.asarray(bunch.target)
    part = train_test_split(
        np.arange(len(labels)), test_size=HELD_OUT, random_state=SEED, stratify=labels
    )[0 if split == "train" else 1]
    own, names = classified(DIGITS, len(part), labels[part], [str(d) for d in range(10)], takes)
    read = _Digits(images[part], *takes.shape)
    return Stream(DIGITS, len(part), read, takes.normalisation, own, names)


@dataclass(frozen=True, eq=False)
class _Digits:
    """Enlarges digits [N, 8, 8], greys from 0 to 16."""

    images: Array
    channels: int
    height: int
    width: int

    def __call__(self, rows: Sequence[int]) -> Iterator[Array]:
        down, across = _enlarging(self.height, 8), _enlarging(self.width, 8)
        for row in rows:
            grey = down @ (self.images[row] / 16) @ across.T
            yield np.repeat(grey[None], self.channels, axis=0)


def _enlarging(size: int, have: int) -> Array:
    """The matrix [size, have] that interpolates an axis bilinearly, pixels being small squares."""
    centres = np.clip((np.arange(size) + 0.5) * have / size - 0.5, 0, have - 1)
    weights: Array = np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(have)))
    return weights
