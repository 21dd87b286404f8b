"""Mixup: images are blended in pairs, and so is what should be learned of them.

Source: Zhang and others, mixup: Beyond Empirical Risk Minimization (2018), Section 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

Terms = Mapping[str, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Blend:
    """How the images of a batch are blended.

    Attributes:
        share: what an image keeps of itself, from 0.5 to 1.
        others: int64 [n], the row of the image that makes up for the rest.
    """

    share: float
    others: torch.Tensor

    def images(self, images: torch.Tensor) -> torch.Tensor:
        """Images [n, C, H, W], blended."""
        if self.share == 1:
            return images
        return torch.lerp(images[self.others], images, self.share)

    def terms(self, of: Callable[[torch.Tensor], Terms], labels: torch.Tensor) -> Terms:
        """The loss terms that labels have, those of both images of each pair weighed alike.

        Args:
            of: the terms for labels [n].
            labels: int64 [n], of the images before they were blended.
        """
        own = of(labels)
        if self.share == 1:
            return own
        other = of(labels[self.others])
        return {name: torch.lerp(other[name], value, self.share) for name, value in own.items()}


def blend(alpha: float, count: int, device: torch.device) -> Blend:
    """A blend of a batch, drawn from torch's generator of the CPU.

    Args:
        alpha: of the Beta distribution that the share is drawn from; 0 blends nothing. A share
            below 0.5 is taken from 1: the same pairs are as likely, and an image's own label is
            that of the larger share.
        count: of images.
        device: where they are.
    """
    if not alpha or count < 2:
        return Blend(1.0, torch.arange(count, device=device))
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    return Blend(max(share, 1 - share), torch.randperm(count).to(device))
