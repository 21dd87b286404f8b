"""Streams of arrays: bytes or floats that must fit the network."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hydrafy.errors import DataError
from hydrafy.ir.manifest import scaled
from hydrafy.runtime.data.classes import classified
from hydrafy.runtime.data.takes import Takes
from hydrafy.train.data import Array, Data, Stream

Rows = Callable[[Sequence[int]], Iterator[Array]]
"""Gives the images of some rows, in any order, as they are stored; it can be pickled."""


def from_memory(given: Array | Data, takes: Takes) -> Stream:
    """A stream of arrays that the caller holds; the images of `Data` are taken as they stand.

    Raises:
        DataError: the arrays do not fit the network.
    """
    images, labels = (given.images, given.labels) if isinstance(given, Data) else (given, None)
    return arrays("the given arrays", images.shape, images.dtype, _Held(images), labels, (), takes)


def arrays(
    name: str,
    shape: Sequence[int],
    kind: np.dtype[Any],
    stored: Rows,
    labels: Array | None,
    classes: Sequence[str],
    takes: Takes,
) -> Stream:
    """A stream of images that are stored in one array.

    Args:
        name: of the source, for messages.
        shape: of the images: [N, C, H, W], where they are bytes also [N, H, W, C].
        kind: the type of their numbers: bytes, which are scaled and normalised, or floats, which
            are taken as they stand.
        stored: reads them.
        labels: integers [N].
        classes: their names; empty where the source has none.
        takes: what they have to fit.

    Raises:
        DataError: they do not.
    """
    _check_images(name, shape, kind, takes.shape)
    own, names = classified(name, shape[0], labels, classes, takes)
    normalisation = takes.normalisation if kind == np.uint8 else None
    return Stream(name, shape[0], _Floats(name, stored, takes.shape), normalisation, own, names)


@dataclass(frozen=True, eq=False)
class _Held:
    """Reads images that are in memory."""

    images: Array

    def __call__(self, rows: Sequence[int]) -> Iterator[Array]:
        return (self.images[row] for row in rows)


@dataclass(frozen=True, eq=False)
class _Floats:
    """Reads stored images as floats, bytes from 0 to 1."""

    name: str
    stored: Rows
    shape: tuple[int, int, int]

    def __call__(self, rows: Sequence[int]) -> Iterator[Array]:
        return map(self._one, self.stored(rows))

    def _one(self, image: Array) -> Array:
        if image.dtype == np.uint8:
            only: Array = scaled(image[None], self.shape)[0]
            return only
        if not np.isfinite(image).all():
            raise DataError(
                f"the images of {self.name} hold NaN or infinite values: clean them first"
            )
        return image.astype(np.float32)


def _check_images(
    name: str, have: Sequence[int], kind: np.dtype[Any], shape: tuple[int, int, int]
) -> None:
    fits = [shape]
    if kind == np.uint8:
        fits.append((*shape[1:], shape[0]))
    elif not np.issubdtype(kind, np.floating):
        raise DataError(
            f"the images of {name} are {kind}: pixels must be uint8 (0 to 255), or floats as the "
            "model takes them"
        )
    if len(have) != 4 or tuple(have[1:]) not in fits:
        raise DataError(
            f"the images of {name} have the shape {list(have)}, but the model takes "
            f"[N, {', '.join(map(str, shape))}]: resize them first"
        )
    if not have[0]:
        raise DataError(f"{name} holds no images")
