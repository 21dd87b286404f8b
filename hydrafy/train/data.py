"""Images and their classes: a stream of them, read a few at a time, in any order."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hydrafy.errors import DataError, FileError
from hydrafy.ir.manifest import Normalisation

Array = np.ndarray[Any, Any]

BATCH = 32
TOLERATED = 0.01  # of all images: how many may be damaged
UNKNOWN = -1  # the label of an image of which only a teacher says what it shows

Reader = Callable[[Sequence[int]], Iterator[Array | FileError]]
"""Reads the images of some rows, in the order in which these are named: [C, H, W] each, pixels
from 0 to 1, or floats that are taken as they stand; for a damaged one the error instead."""


@dataclass(frozen=True, eq=False)
class Data:
    """Images as a network takes them, and their classes, in memory.

    `images` is float32 [N, C, H, W], `labels` int64 [N]; `normalisation` is what the pixels went
    through, None where they were scaled to 0..1 only, or came as floats.
    """

    images: Array
    labels: Array
    normalisation: Normalisation | None = None

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Batch:
    """Images that could be read: float32 [n, C, H, W], and the rows [n] that they stand in."""

    rows: Array
    images: Array


@dataclass(frozen=True, eq=False)
class Stream:
    """Where images come from, and what happens to them on the way to a network.

    A damaged image ends nothing by itself: its batch comes without it, and a batch of which none
    could be read does not come at all. `Damaged` counts them.

    Attributes:
        name: what the user called it, for messages.
        count: how many images there are.
        read: reads some of them; it can be pickled, so that other processes may read, too.
        normalisation: what the pixels go through; None for none.
        labels: int64 [count], some of them `UNKNOWN` perhaps; None where nobody asked for them.
        classes: the names of the classes, where the source tells them, in the order of the labels.
        pictures: whether images are decoded one by one, which takes long enough to do it elsewhere.
    """

    name: str
    count: int
    read: Reader
    normalisation: Normalisation | None = None
    labels: Array | None = None
    classes: tuple[str, ...] = ()
    pictures: bool = False

    @functools.cached_property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W) of the images, as the first one has it that can be read.

        Raises:
            DataError: there is none, or too many cannot be read.
        """
        damaged = Damaged(self)
        for row in range(self.count):
            (image,) = self.read([row])
            if not isinstance(image, FileError):
                shape: tuple[int, ...] = image.shape
                return shape
            damaged.add(row, image)
        raise DataError(f"{self.name} holds no images")

    def batches(
        self,
        rows: Sequence[int] | Array | None = None,
        size: int = BATCH,
        damaged: Damaged | None = None,
    ) -> Iterator[Batch]:
        """The images of some rows as a network takes them, up to `size` of them at once.

        Args:
            rows: in any order; all of them where None.
            size: of a batch.
            damaged: counts the images that cannot be read; where None, the first of them ends it.

        Raises:
            FileError: an image cannot be read, and nobody counts.
            DataError: too many cannot be read, or one does not fit the network.
        """
        wanted = np.arange(self.count) if rows is None else np.asarray(rows, np.int64)
        for start in range(0, len(wanted), size):
            batch, errors = self.load(wanted[start : start + size])
            for row, error in errors.items():
                if damaged is None:
                    raise error
                damaged.add(row, error)
            if len(batch.rows):
                normal = self.normalisation
                images = batch.images if normal is None else normal.apply(batch.images)
                yield Batch(batch.rows, images)

    def load(self, rows: Sequence[int] | Array) -> tuple[Batch, dict[int, FileError]]:
        """The images of some rows before they are normalised, and the errors of damaged ones."""
        wanted = [int(row) for row in rows]
        errors: dict[int, FileError] = {}
        kept, images = [], []  # a row that was asked for twice comes twice
        for row, image in zip(wanted, self.read(wanted), strict=True):
            if isinstance(image, FileError):
                errors[row] = image
            else:
                kept.append(row)
                images.append(image)
        stacked = np.stack(images) if images else np.zeros((0, *self.shape))
        batch = Batch(np.array(kept, np.int64), np.ascontiguousarray(stacked, np.float32))
        return batch, errors

    def sample(self, most: int) -> Sequence[int]:
        """At most so many rows, drawn from all, the same ones each time."""
        if self.count <= most:
            return range(self.count)
        rows = np.random.default_rng(0).choice(self.count, most, replace=False)
        return [int(row) for row in np.sort(rows)]

    def gather(self) -> Data:
        """All images in memory, normalised, with their labels."""
        if self.labels is None:
            raise DataError(f"the images of {self.name} have no labels: give images with labels")
        whole = np.concatenate([batch.images for batch in self.batches()])
        return Data(whole, self.labels, self.normalisation)


class Damaged:
    """Counts the images of a stream that cannot be read; more than 1 % of them are too many."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.errors: dict[int, FileError] = {}

    def add(self, row: int, error: FileError) -> None:
        """Notes a damaged image; the same one as often as it is met.

        Raises:
            DataError: these are too many; the first is named.
        """
        self.errors[row] = error
        if len(self.errors) > TOLERATED * self.stream.count:
            first = next(iter(self.errors.values()))
            raise DataError(
                f"{len(self.errors)} of the {self.stream.count} images of {self.stream.name} "
                f"cannot be read, more than {TOLERATED:.0%}; of the first: {first}"
            ) from error

    def __len__(self) -> int:
        return len(self.errors)
