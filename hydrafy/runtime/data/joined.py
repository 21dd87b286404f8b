"""Joins labelled images with others of which nobody knows the class."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hydrafy.errors import DataError, FileError
from hydrafy.train.data import UNKNOWN, Array, Reader, Stream


def joined(labelled: Stream, others: Stream) -> Stream:
    """One stream of both, the labelled ones first; the others have the label `UNKNOWN`.

    Raises:
        DataError: one has pixels that are normalised, the other floats that are taken as they
            stand, or they differ in shape.
    """
    if (labelled.normalisation is None) != (others.normalisation is None):
        raise DataError(
            f"the images of {labelled.name} and those of {others.name} must both be pixels (bytes "
            "or pictures), or both floats: bring them to one form"
        )
    if labelled.shape != others.shape:
        raise DataError(
            f"the images of {others.name} have the shape {list(others.shape)}, those of "
            f"{labelled.name} {list(labelled.shape)}: they must have the same"
        )
    assert labelled.labels is not None, "the stream was opened with labels"
    return dataclasses.replace(
        labelled,
        name=f"{labelled.name} and {others.name}",
        count=labelled.count + others.count,
        read=_Both(labelled.read, others.read, labelled.count),
        labels=np.concatenate([labelled.labels, np.full(others.count, UNKNOWN)]),
        pictures=labelled.pictures or others.pictures,
    )


@dataclass(frozen=True, eq=False)
class _Both:
    """Reads rows of one reader, and behind its `count` rows those of another."""

    first: Reader
    second: Reader
    count: int

    def __call__(self, rows: Sequence[int]) -> Iterator[Array | FileError]:
        parts = [
            iter(self.first([row for row in rows if row < self.count])),
            iter(self.second([row - self.count for row in rows if row >= self.count])),
        ]
        return (next(parts[int(row >= self.count)]) for row in rows)
