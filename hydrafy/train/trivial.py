"""TrivialAugment: each image goes through one of many operations, at a strength of its own."""

from __future__ import annotations

from collections.abc import Callable

import torch

SHEAR = 16.7 / 180  # by 0.3 of the height; kornia counts in half turns

OPERATIONS = (
    ("auto_contrast", 0.0, 1.0),  # of one strength alone, as is the next
    ("equalize", 0.0, 1.0),
    ("rotate", -30.0, 30.0),  # degrees
    ("shear_x", -SHEAR, SHEAR),
    ("shear_y", -SHEAR, SHEAR),
    ("translate_x", -0.3, 0.3),  # of the size
    ("translate_y", -0.3, 0.3),
    ("contrast", 0.1, 1.9),  # pixels times this
    ("sharpness", 0.1, 1.9),
    ("solarize", 0.0, 1.0),  # pixels over this are inverted
    ("posterize", 4.0, 8.0),  # bits that are left
)
"""kornia's names of operations, with the least and the greatest strength: those of AutoAugment
(Cubuk et al., 2019), but for shorter shifts. kornia's own shear by 54 degrees, add to pixels until
an image is white, and leave no bit."""


class Trivial:
    """Changes images [N, C, H, W] of pixels from 0 to 1; one in twelve stays as it is.

    kornia's own TrivialAugment draws one operation for a whole batch, so it only makes them here
    (after Müller and Hutter, 2021).
    """

    def __init__(self) -> None:
        from kornia.augmentation.auto import TrivialAugment

        made = TrivialAugment([[operation] for operation in OPERATIONS])
        self.operations: list[Callable[[torch.Tensor], torch.Tensor]] = list(made.children())

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Other images, of the same shape, on the same device."""
        drawn = torch.randint(len(self.operations) + 1, (len(images),))
        changed = images.clone()
        for index, operation in enumerate(self.operations):
            rows = (drawn == index).nonzero().flatten().to(images.device)
            if len(rows):
                changed[rows] = operation(images[rows])
        return changed
