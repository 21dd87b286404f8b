"""Augmentation: each image of a batch is shifted and mirrored at random."""

from collections.abc import Collection
from typing import Literal, get_args

import torch
import torch.nn.functional as F

from hydrafy.errors import OptionError, nearest

Augmentation = Literal["crop", "flip"]
MARGIN = 8  # the padding around an image is its size divided by this: 4 pixels of 32


def check(wanted: Collection[str]) -> None:
    """Refuses unknown augmentations.

    Raises:
        OptionError: naming the nearest known one.
    """
    for name in wanted:
        if name not in get_args(Augmentation):
            hint = nearest(name, get_args(Augmentation))
            raise OptionError(f"there is no augmentation {name!r}: {hint}")


def augment(
    images: torch.Tensor, wanted: Collection[Augmentation], generator: torch.Generator
) -> torch.Tensor:
    """Images [N, C, H, W], each changed in its own way.

    Args:
        images: a batch; it is not changed.
        wanted: `crop` shifts by up to an eighth of the size, zeros filling up; `flip` mirrors half
            of the images left to right.
        generator: where the randomness comes from, on the CPU.
    """
    if "crop" in wanted:
        images = _crop(images, generator)
    if "flip" in wanted:
        mirrored = torch.rand((len(images), 1, 1, 1), generator=generator) < 0.5
        images = torch.where(mirrored.to(images.device), images.flip(3), images)
    return images


def _crop(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    count, channels, height, width = images.shape
    down, right = height // MARGIN, width // MARGIN
    padded = F.pad(images, (right, right, down, down))
    top = torch.randint(2 * down + 1, (count, 1), generator=generator)
    left = torch.randint(2 * right + 1, (count, 1), generator=generator)
    rows = (top + torch.arange(height))[:, None, :, None].to(images.device)
    columns = (left + torch.arange(width))[:, None, None, :].to(images.device)
    each = torch.arange(count, device=images.device)[:, None, None, None]
    return padded[each, torch.arange(channels, device=images.device)[:, None, None], rows, columns]
