"""A stream: images that are read one after the other, as often as wanted, never all at once."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hydrafy.errors import DataError
from hydrafy.ir.manifest import Normalisation
from hydrafy.train.data import Array, Data

BATCH = 32


@dataclass(frozen=True)
class Takes:
    """What a network takes: what images and labels have to fit.

    Attributes:
        shape: (C, H, W) of an image.
        classes: how many there are; None where labels do not matter.
        normalisation: what the network expects of pixels; None means 0..1.
    """

    shape: tuple[int, int, int]
    classes: int | None = None
    normalisation: Normalisation | None = None


@dataclass(frozen=True, eq=False)
class Stream:
    """Where images come from, and what happens to them on the way to a network.

    Attributes:
        name: what the user called it, for messages.
        count: how many images there are.
        read: the images of some rows, which are named in ascending order: [C, H, W] each, pixels
            from 0 to 1, or floats that are taken as they stand.
        normalisation: what the pixels go through; None for none.
        labels: int64 [count]; None where nobody asked for them.
    """

    name: str
    count: int
    read: Callable[[Sequence[int]], Iterator[Array]]
    normalisation: Normalisation | None = None
    labels: Array | None = None

    def batches(self, rows: Sequence[int] | None = None, size: int = BATCH) -> Iterator[Array]:
        """The images as a network takes them, float32 [up to `size`, C, H, W].

        Raises:
            FileError: an image cannot be read.
            DataError: an image does not fit the network.
        """
        images = self.read(range(self.count) if rows is None else rows)
        while some := list(itertools.islice(images, size)):
            batch = np.stack(some).astype(np.float32, copy=False)
            yield batch if self.normalisation is None else self.normalisation.apply(batch)

    def sample(self, most: int) -> Sequence[int]:
        """At most so many rows, drawn from all, the same ones each time."""
        if self.count <= most:
            return range(self.count)
        rows = np.random.default_rng(0).choice(self.count, most, replace=False)
        return [int(row) for row in np.sort(rows)]

    def gather(self) -> Data:
        """All images in memory, with their labels."""
        if self.labels is None:
            raise DataError(f"the images of {self.name} have no labels: give images with labels")
        whole: Array | None = None
        done = 0
        for batch in self.batches():
            if whole is None:
                whole = np.empty((self.count, *batch.shape[1:]), np.float32)
            whole[done : done + len(batch)] = batch
            done += len(batch)
        if whole is None:
            raise DataError(f"{self.name} holds no images")
        return Data(whole, self.labels, self.normalisation)
