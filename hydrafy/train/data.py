"""Images and labels to train and test with: a file's, or scikit-learn's handwritten digits."""

import os
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hydrafy.errors import DataError, FileError
from hydrafy.ir.manifest import Normalisation, scaled

DIGITS = "digits"
HELD_OUT = 0.25  # of the digits, for testing
SEED = 0  # of the division into training and test digits
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Data:
    """Images as a network takes them, and their classes.

    `images` is float32 [N, C, H, W], `labels` int64 [N]; `normalisation` is what the pixels went
    through, None where they were scaled to 0..1 only, or came as floats.
    """

    images: Array
    labels: Array
    normalisation: Normalisation | None = None

    def __len__(self) -> int:
        return len(self.labels)


def load(
    source: str | os.PathLike[str],
    *,
    shape: Sequence[int],
    classes: int,
    normalisation: Normalisation | None = None,
    split: Literal["train", "test"] = "train",
) -> Data:
    """Reads images and labels for a network.

    Args:
        source: `digits` (1,797 handwritten digits of 8x8 greys, enlarged to the network's input),
            or an .npz file with arrays `x` (uint8 [N, H, W, C] or [N, C, H, W], or float
            [N, C, H, W], which is taken as it stands) and `y` (integers [N]).
        shape: (C, H, W) of the network's input.
        classes: how many classes the network has.
        normalisation: what the network expects of pixels; None means 0..1.
        split: the training or the test part of the digits, the same ones each time, a quarter of
            each digit for testing. A file is taken whole.

    Raises:
        FileError: there is no such file, or it is not an .npz.
        DataError: what is in it does not fit the network.
    """
    wanted = tuple(shape)
    if os.fspath(source) == DIGITS:
        images, labels = _digits(wanted, split)
        name = DIGITS
    else:
        name = os.fspath(source)
        x, labels = _arrays(Path(source))
        images = _pixels(name, x, wanted)
        if x.dtype != np.uint8:
            normalisation = None
    _check_labels(name, labels, len(images), classes)
    if normalisation is not None:
        images = _normalised(name, images, normalisation)
    return Data(np.ascontiguousarray(images, np.float32), labels.astype(np.int64), normalisation)


def _digits(shape: tuple[int, ...], split: str) -> tuple[Array, Array]:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    images, labels = np.asarray(bunch.images), np.asarray(bunch.target)
    part = train_test_split(
        np.arange(len(labels)), test_size=HELD_OUT, random_state=SEED, stratify=labels
    )[0 if split == "train" else 1]
    channels, height, width = shape
    grey = _enlarging(height, 8) @ (images[part] / 16) @ _enlarging(width, 8).T
    return np.repeat(grey[:, None], channels, axis=1), labels[part]


def _enlarging(size: int, have: int) -> Array:
    """The matrix [size, have] that interpolates an axis bilinearly, pixels being small squares."""
    centres = np.clip((np.arange(size) + 0.5) * have / size - 0.5, 0, have - 1)
    weights: Array = np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(have)))
    return weights


def _arrays(file: Path) -> tuple[Array, Array]:
    if not file.exists():
        raise FileError(f"there is no file {file}: name an .npz file, or digits")
    try:
        with file.open("rb") as stream:
            content = np.load(stream, allow_pickle=False)
            if not isinstance(content, np.lib.npyio.NpzFile):
                raise ValueError("it holds a single array")
            missing = [key for key in ("x", "y") if key not in content]
            if missing:
                have = ", ".join(content.files) or "none"
                raise DataError(
                    f"{file} has no array {missing[0]!r} (it has {have}): it must hold x, the "
                    "images, and y, the labels"
                )
            return content["x"], content["y"]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise FileError(
            f"{file} is not an .npz file of plain arrays: write it with numpy.savez(x=..., y=...)"
        ) from error


def _pixels(name: str, x: Array, shape: tuple[int, ...]) -> Array:
    """Images as [N, C, H, W], those of bytes scaled to 0..1."""
    if x.dtype == np.uint8:
        pixels = scaled(x, shape)
        _check_shape(name, pixels, shape)
        return pixels
    if not np.issubdtype(x.dtype, np.floating):
        raise DataError(
            f"the images of {name} are {x.dtype}: pixels must be uint8 (0 to 255), or floats as "
            "the model takes them"
        )
    _check_shape(name, x, shape)
    if not np.isfinite(x).all():
        raise DataError(f"the images of {name} hold NaN or infinite values: clean them first")
    return x


def _normalised(name: str, images: Array, normalisation: Normalisation) -> Array:
    means, stds = len(normalisation.mean), len(normalisation.std)
    if {means, stds} != {images.shape[1]}:
        raise DataError(
            f"the normalisation has {means} means and {stds} standard deviations, but the "
            f"images of {name} have {images.shape[1]} channels"
        )
    return normalisation.apply(images)


def _check_shape(name: str, x: Array, shape: tuple[int, ...]) -> None:
    if x.ndim != 4 or x.shape[1:] != shape:
        raise DataError(
            f"the images of {name} have the shape {list(x.shape)}, but the model takes "
            f"[N, {', '.join(map(str, shape))}]: resize them first"
        )


def _check_labels(name: str, y: Array, images: int, classes: int) -> None:
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
        raise DataError(
            f"the labels of {name} are {y.dtype} of shape {list(y.shape)}: one integer for each "
            "image is needed"
        )
    if len(y) != images:
        raise DataError(f"{name} has {images} images but {len(y)} labels: one label each is needed")
    if not images:
        raise DataError(f"{name} holds no images")
    outside = y[(y < 0) | (y >= classes)]
    if len(outside):
        raise DataError(
            f"label {outside[0]} of {name} is out of range: the model has {classes} classes, "
            f"labels 0 to {classes - 1}"
        )
