"""Augmentation: each image of a batch is changed at random in its own way, by kornia."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import torch

from hydrafy.errors import DataError, OptionError, nearest
from hydrafy.train.trivial import Trivial

MARGIN = 8  # the padding around an image is its size divided by this: 4 pixels of 32

Change = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Kind:
    """A kind of augmentation.

    Attributes:
        says: what it does.
        build: makes it from the module `kornia.augmentation`, for images of a height and width.
        pixels: whether it is about pixels from 0 to 1, and would spoil other numbers.
        colours: whether it is about red, green and blue.
    """

    says: str
    build: Callable[[Any, int, int], Change]
    pixels: bool = True
    colours: bool = False


def _margins(height: int, width: int) -> tuple[int, int, int, int]:
    """The padding left, above, right and below."""
    down, right = height // MARGIN, width // MARGIN
    return right, down, right, down


KINDS = {
    "resized-crop": Kind(
        "a window of 8 % to all of an image is brought to its size",
        # the other mode, `slice`, computes something else on another number of threads
        lambda k, h, w: k.RandomResizedCrop((h, w), scale=(0.08, 1.0), cropping_mode="resample"),
    ),
    "crop": Kind(
        "an image is shifted by up to an eighth of its size, zeros filling up",
        lambda k, h, w: k.RandomCrop((h, w), padding=_margins(h, w), cropping_mode="slice"),
        pixels=False,
    ),
    "flip": Kind(
        "half of the images are mirrored left to right",
        lambda k, h, w: k.RandomHorizontalFlip(p=0.5),
        pixels=False,
    ),
    "rand": Kind(
        "an image goes through one of many operations: see `hydrafy.train.trivial`",
        lambda k, h, w: Trivial(),
    ),
    "jitter": Kind(
        "brightness, contrast and saturation change by up to 40 %",
        lambda k, h, w: k.ColorJitter(0.4, 0.4, 0.4, 0.0, p=1.0),
        colours=True,
    ),
    "erase": Kind(
        "in half of the images a box of 2 % to 33 % turns black",
        lambda k, h, w: k.RandomErasing(p=0.5, scale=(0.02, 0.33)),
    ),
}  # in the order in which they are applied

STYLES = {"cifar": ("crop", "flip"), "imagenet": ("resized-crop", "flip")}


def check(names: Collection[str]) -> None:
    """Refuses unknown augmentations.

    Raises:
        OptionError: naming the nearest known one.
    """
    for name in names:
        if name not in KINDS and name not in STYLES:
            hint = nearest(name, (*KINDS, *STYLES))
            raise OptionError(f"there is no augmentation {name!r}: {hint}")


@dataclass(frozen=True)
class Augment:
    """Changes batches of images; what comes out depends on torch's seed and the images alone.

    In whatever order they are named, images are cropped first, then mirrored, then their colours
    are changed, and at last parts erased. Random numbers come from torch's generator of the CPU.

    Attributes:
        names: keys of `KINDS` and `STYLES`.
        channels: of the images.
        pixels: whether images are pixels from 0 to 1, not yet normalised; else they are floats that
            are taken as they stand, which can only be shifted and mirrored.

    Raises:
        OptionError: an augmentation is unknown.
        DataError: it is not for such images.
    """

    names: tuple[str, ...]
    channels: int
    pixels: bool

    def __post_init__(self) -> None:
        check(self.names)
        for name in _kinds(self.names):
            _check_images(name, self.channels, self.pixels)

    @torch.no_grad()
    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Images [N, C, H, W] on any device, changed; those that were given stay as they are."""
        if not self.names:
            return images
        for change in _changes(_kinds(self.names), *images.shape[2:]):
            images = change(images)
        return images


def _kinds(names: Collection[str]) -> tuple[str, ...]:
    """What names stand for, in the order in which it is applied."""
    wanted = {kind for name in names for kind in STYLES.get(name, (name,))}
    return tuple(name for name in KINDS if name in wanted)


@functools.cache
def _changes(kinds: tuple[str, ...], height: int, width: int) -> tuple[Change, ...]:
    import kornia.augmentation

    return tuple(KINDS[name].build(kornia.augmentation, height, width) for name in kinds)


def _check_images(name: str, channels: int, pixels: bool) -> None:
    kind = KINDS[name]
    if kind.pixels and not pixels:
        fit = " and ".join(known for known, other in KINDS.items() if not other.pixels)
        raise DataError(
            f"augmentation {name!r} is for pixels, but the images came as floats, which are taken "
            f"as they stand: use {fit} only"
        )
    if kind.colours and channels != 3:
        raise DataError(
            f"augmentation {name!r} is for images of three channels, but these have {channels}: "
            "leave it out"
        )
