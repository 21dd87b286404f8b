"""Turns picture files and arrays into what a network takes: float32 [N, C, H, W]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hydrafy.errors import DataError, FileError
from hydrafy.ir.manifest import Normalisation, scaled
from hydrafy.runtime.picture import picture, usual_resize

IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Images:
    """Images as a network takes them, [N, C, H, W] float32, and a name for each."""

    names: tuple[str, ...]
    array: Array


def choose(
    channels: int,
    recorded: Normalisation | None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> tuple[Normalisation, str]:
    """Which normalisation to use, and a clause that says whose it is.

    The file's own comes first, then `mean` and `std` (one number stands for every channel), then
    ImageNet's for three channels, and none for any other number.

    Raises:
        DataError: `mean` and `std` do not fit the channels, or what the file records.
    """
    given = None
    if mean is not None or std is not None:
        given = Normalisation(
            _each("mean", mean or (0.0,), channels), _each("std", std or (1.0,), channels)
        )
    if recorded is not None:
        if given is not None and given != recorded:
            raise DataError(
                f"the file records its own normalisation, mean {_listed(recorded.mean)} and std "
                f"{_listed(recorded.std)}: leave out --mean and --std, or convert the source again "
                "with others"
            )
        return recorded, "the file's"
    if given is not None:
        return given, "as given"
    if channels == 3:
        return IMAGENET, "ImageNet's, because the file records none (give --mean and --std)"
    return Normalisation((0.0,) * channels, (1.0,) * channels), "none, pixels are scaled to 0..1"


def _listed(numbers: Sequence[float]) -> str:
    return ",".join(f"{number:g}" for number in numbers)


def load(paths: Sequence[str | Path], shape: Sequence[int], normalisation: Normalisation) -> Images:
    """Reads pictures, or .npy arrays, for a network.

    A picture is made RGB or grey, resized, and cropped in the middle as `usual_resize` says, so
    that it is seen as in an evaluation. A .npy file holds one image or many: uint8 [C, H, W] or
    [H, W, C], or float [C, H, W], which is taken as it stands; it must have the network's size.

    Args:
        paths: the files.
        shape: (C, H, W) of the network's input.
        normalisation: what happens to pixels, after they were scaled to 0..1.

    Raises:
        FileError: a file is missing, or is no image.
        DataError: an image does not fit the network.
    """
    size = tuple(shape)
    names: list[str] = []
    found: list[Array] = []
    for path in map(Path, paths):
        if not path.is_file():
            raise FileError(f"there is no image {path}")
        if path.suffix == ".npy":
            arrays = _from_array(path, size, normalisation)
            names += (
                [str(path)] if len(arrays) == 1 else [f"{path}[{i}]" for i in range(len(arrays))]
            )
            found += list(arrays)
        else:
            names.append(str(path))
            seen = picture(path, str(path), size, usual_resize(size))
            found.append(normalisation.apply(seen))
    if not found:
        raise DataError("there is no image to run")
    return Images(tuple(names), np.stack(found))


def _each(name: str, numbers: Sequence[float], channels: int) -> tuple[float, ...]:
    if len(numbers) == 1:
        numbers = tuple(numbers) * channels
    if len(numbers) != channels:
        raise DataError(
            f"--{name} has {len(numbers)} numbers, but the model's images have {channels} "
            "channels: give one for each, or one for all"
        )
    if name == "std" and not all(number > 0 for number in numbers):
        raise DataError("--std must be above 0 for every channel")
    return tuple(numbers)


def _from_array(path: Path, shape: tuple[int, ...], normalisation: Normalisation) -> Array:
    """The arrays of a .npy file as [N, C, H, W]."""
    try:
        array: Array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FileError(f"{path} is not a .npy file of plain numbers") from error
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise DataError(
            f"{path} holds {array.dtype}: pixels must be uint8 (0 to 255), or floats as the model "
            "takes them"
        )
    batch = array[None] if array.ndim == 3 else array
    pixels = array.dtype == np.uint8
    if pixels:
        batch = scaled(batch, shape)
    if batch.ndim != 4 or batch.shape[1:] != shape:
        raise DataError(
            f"{path} has the shape {list(array.shape)}, but the model takes images of "
            f"{list(shape)} (channels, height, width): resize it first"
        )
    return normalisation.apply(batch) if pixels else batch.astype(np.float32)
