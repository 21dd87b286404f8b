"""Streams of arrays: bytes or floats, and integers for labels, that must fit the network."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from hydrafy.errors import DataError
from hydrafy.ir.manifest import scaled
from hydrafy.runtime.data.takes import Takes
from hydrafy.train.data import Array, Data, Stream

Rows = Callable[[Sequence[int]], Iterator[Array]]
"""Gives the images of some rows as they are stored."""


def from_memory(given: Array | Data, takes: Takes) -> Stream:
    """A stream of arrays that the caller holds; the images of `Data` are taken as they stand.

    Raises:
        DataError: the arrays do not fit the network.
    """
    images, labels = (given.images, given.labels) if isinstance(given, Data) else (given, None)
    name = "the given arrays"
    return arrays(
        name, images.shape, images.dtype, lambda rows: (images[r] for r in rows), labels, takes
    )


def arrays(
    name: str,
    shape: Sequence[int],
    kind: np.dtype[Any],
    stored: Rows,
    labels: Array | None,
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
        takes: what they have to fit.

    Raises:
        DataError: they do not.
    """
    _check_images(name, shape, kind, takes.shape)
    if takes.classes is not None:
        labels = _checked_labels(name, labels, shape[0], takes.classes)
    normalisation = takes.normalisation if kind == np.uint8 else None

    def read(rows: Sequence[int]) -> Iterator[Array]:
        return (_as_floats(name, image, takes.shape) for image in stored(rows))

    return Stream(name, shape[0], read, normalisation, labels)


def _as_floats(name: str, image: Array, shape: tuple[int, int, int]) -> Array:
    if image.dtype == np.uint8:
        only: Array = scaled(image[None], shape)[0]
        return only
    if not np.isfinite(image).all():
        raise DataError(f"the images of {name} hold NaN or infinite values: clean them first")
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


def _checked_labels(name: str, labels: Array | None, images: int, classes: int) -> Array:
    """The labels as int64 [N]."""
    if labels is None:
        raise DataError(f"{name} have no labels: give a hydrafy.train.data.Data with both")
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"the labels of {name} are {labels.dtype} of shape {list(labels.shape)}: one integer "
            "for each image is needed"
        )
    if len(labels) != images:
        raise DataError(
            f"{name} has {images} images but {len(labels)} labels: one label each is needed"
        )
    outside = labels[(labels < 0) | (labels >= classes)]
    if len(outside):
        raise DataError(
            f"label {outside[0]} of {name} is out of range: the model has {classes} classes, "
            f"labels 0 to {classes - 1}"
        )
    return labels.astype(np.int64)
