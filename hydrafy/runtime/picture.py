"""Decodes a picture into what a network takes: float32 [C, H, W], pixels from 0 to 1."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hydrafy.errors import DataError, FileError

if TYPE_CHECKING:
    from PIL import Image

Array = np.ndarray[Any, Any]

MODES = {1: "L", 3: "RGB"}  # Pillow's names, by the number of channels
LARGE = 128  # pixels: networks of this size and more are judged with a border cut off
BORDER = 256 / 224  # the usual one: the shorter side becomes 256, the middle 224 are kept


def usual_resize(shape: tuple[int, ...]) -> float:
    """How much larger than the network's input a picture's shorter side is made before the crop.

    Networks for ImageNet are published with accuracies on the middle 224 of 256 pixels (0.875 of
    the side, at other sizes too), since what a photo shows is mostly in its middle. Networks for
    images under 128 pixels, such as CIFAR's 32, see the whole picture.

    Args:
        shape: (C, H, W) of the network's input.
    """
    return BORDER if min(shape[1:]) >= LARGE else 1.0


def picture(source: Path | bytes, name: str, shape: tuple[int, ...], resize: float = 1.0) -> Array:
    """A picture as float32 [C, H, W], 0..1: its shorter side resized, its middle kept.

    One that has the network's size already is taken as it is: somebody prepared it. It is turned as
    its EXIF data says, greys of 16 bits are scaled, transparency is dropped, and of several frames
    the first counts. Sizes and places are rounded as torchvision's `Resize` and `CenterCrop` do.

    Args:
        source: a file, or what is in one.
        name: of the picture, for messages.
        shape: (C, H, W) of the network's input; 1 channel for grey, 3 for RGB.
        resize: the shorter side before the crop, over the network's.

    Raises:
        FileError: it cannot be read.
        DataError: the network takes neither grey nor RGB pictures.
    """
    channels, height, width = shape
    if channels not in MODES:
        raise DataError(
            f"the model takes images of {channels} channels, and {name} is a picture: give a .npy "
            "array instead"
        )
    found = _decoded(source, name, MODES[channels])
    if found.size != (width, height):
        found = _cropped(found, width, height, resize)
    array = np.asarray(found, np.float32).reshape(height, width, channels) / np.float32(255)
    return array.transpose(2, 0, 1)


def attempted(
    source: Path | bytes, name: str, shape: tuple[int, ...], resize: float = 1.0
) -> Array | FileError:
    """The same, or why it cannot be read: one damaged picture of many must not end a run."""
    try:
        return picture(source, name, shape, resize)
    except FileError as error:
        return FileError(*error.args)  # the causes of the other keep what was decoded in memory


def _decoded(source: Path | bytes, name: str, mode: str) -> Image.Image:
    from PIL import Image, ImageOps

    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        # Pillow warns of damaged metadata, but the pixels are what matters.
        with warnings.catch_warnings(action="ignore"), Image.open(file) as opened:
            return ImageOps.exif_transpose(_eight_bits(opened)).convert(mode)
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        raise FileError(f"{name} is not an image that can be read, or it is damaged") from error


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Pillow clips 16-bit greys instead of scaling them."""
    if picture.mode == "F":
        raise ValueError("nobody knows the range of floats")
    if not picture.mode.startswith("I"):
        return picture
    from PIL import Image

    return Image.fromarray((np.asarray(picture, np.float32) / 257).clip(0, 255).astype(np.uint8))


def _cropped(picture: Image.Image, width: int, height: int, resize: float) -> Image.Image:
    from PIL import Image

    across, down = round(width * resize), round(height * resize)
    if picture.width * down <= picture.height * across:  # the width is what is short
        down = max(down, picture.height * across // picture.width)
    else:
        across = max(across, picture.width * down // picture.height)
    picture = picture.resize((across, down), Image.Resampling.BILINEAR)
    left, top = round((across - width) / 2), round((down - height) / 2)
    return picture.crop((left, top, left + width, top + height))
