"""Scikit-learn's 1,797 handwritten digits of 8x8 greys, enlarged to what a network takes."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from hydrafy.ir.manifest import Normalisation
from hydrafy.train.data import Array, Stream

DIGITS = "digits"
HELD_OUT = 0.25  # for testing
SEED = 0  # of the division into training and test digits
Split = Literal["train", "test"]


def from_digits(shape: Sequence[int], normalisation: Normalisation | None, split: Split) -> Stream:
    """The training or the test digits, the same ones each time, a quarter of each for testing.

    Args:
        shape: (C, H, W) of the network's input.
        normalisation: of pixels from 0 to 1.
        split: which part.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    images, labels = np.asarray(bunch.images), np.asarray(bunch.target)
    part = train_test_split(
        np.arange(len(labels)), test_size=HELD_OUT, random_state=SEED, stratify=labels
    )[0 if split == "train" else 1]
    channels, height, width = shape
    down, across = _enlarging(height, 8), _enlarging(width, 8)

    def read(rows: Sequence[int]) -> Iterator[Array]:
        for row in rows:
            grey = down @ (images[part[row]] / 16) @ across.T
            yield np.repeat(grey[None], channels, axis=0)

    return Stream(DIGITS, len(part), read, normalisation, labels[part].astype(np.int64))


def _enlarging(size: int, have: int) -> Array:
    """The matrix [size, have] that interpolates an axis bilinearly, pixels being small squares."""
    centres = np.clip((np.arange(size) + 0.5) * have / size - 0.5, 0, have - 1)
    weights: Array = np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(have)))
    return weights
