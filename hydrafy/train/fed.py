"""A module of any layout as one that is fed with images [N, C, H, W]."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


class Fed(nn.Module):
    """Permutes images on their way into a module.

    Args:
        module: what they go into.
        axes: the permutation that brings [N, C, H, W] to its layout.
    """

    def __init__(self, module: nn.Module, axes: Sequence[int]) -> None:
        super().__init__()
        self.module = module
        self.axes = tuple(axes)

    def forward(self, images: torch.Tensor) -> Any:
        """What the module returns for images [N, C, H, W]."""
        return self.module(images.permute(self.axes))
