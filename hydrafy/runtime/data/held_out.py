"""Divides a stream into one to train on and one to judge by, each class in the same share."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hydrafy.errors import DataError, FileError, OptionError
from hydrafy.train.data import Array, Reader, Stream


def held_out(images: Stream, share: float, seed: int = 0) -> tuple[Stream, Stream]:
    """Holds a share of labelled images out of training, drawn at random from each class.

    Args:
        images: with labels, at least two of each class that there is.
        share: of the images, to be held out; rounded up.
        seed: of the draw: the same one divides the same stream in the same way.

    Returns:
        What to train on, and what was held out. Each keeps the order of the stream.

    Raises:
        OptionError: the share is not between 0 and 1.
        DataError: a class has a single image, or one of the parts has less than one for each class.
    """
    from sklearn.model_selection import train_test_split

    if not 0 < share < 1:
        raise OptionError(f"a share of {share:g} cannot be held out: use one between 0 and 1")
    labels = images.labels
    if labels is None:
        raise DataError(f"the images of {images.name} have no labels: give images with labels")
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        lone = int(classes[counts.argmin()])
        which = repr(images.classes[lone]) if images.classes else str(lone)
        raise DataError(
            f"class {which} of {images.name} has a single image, which cannot be both trained on "
            "and held out: add images of it, or name validation data of its own"
        )
    held = math.ceil(share * images.count)
    if min(held, images.count - held) < len(classes):
        raise DataError(
            f"a share of {share:g} of the {images.count} images of {images.name} leaves "
            f"{images.count - held} to train on and {held} to judge by, but there are "
            f"{len(classes)} classes: choose a share that leaves one of each"
        )
    parts = train_test_split(
        np.arange(images.count), test_size=held, random_state=seed, stratify=labels
    )
    training, validation = (_part(images, labels, np.sort(part)) for part in parts)
    return training, validation


@dataclass(frozen=True, eq=False)
class _Rows:
    """Reads some rows of another reader's as 0, 1 ..."""

    read: Reader
    rows: Array

    def __call__(self, rows: Sequence[int]) -> Iterator[Array | FileError]:
        return self.read([int(self.rows[row]) for row in rows])


def _part(images: Stream, labels: Array, rows: Array) -> Stream:
    return dataclasses.replace(
        images, count=len(rows), read=_Rows(images.read, rows), labels=labels[rows]
    )
