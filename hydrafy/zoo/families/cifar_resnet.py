"""The residual networks for small images of He et al. (arXiv:1512.03385), section 4.2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from hydrafy.zoo.blocks import Shortcut, basic_stage
from hydrafy.zoo.design import Design
from hydrafy.zoo.layers import conv, initialise


@dataclass(frozen=True, kw_only=True)
class CifarResNetDesign(Design):
    """`resnetN` for N = 6n + 2; the defaults are the paper's.

    The shortcut, where the shape changes: `A` takes every second pixel and pads channels with
    zeros (no parameters), `B` is a strided 1x1 convolution with BatchNorm.
    """

    PATTERN: ClassVar = r"(?:cifar_)?resnet(?P<depth>\d+)"
    DEPTHS: ClassVar = range(8, 2000, 6)
    LISTED: ClassVar = tuple(f"resnet{n}" for n in (8, 14, 20, 26, 32, 44, 56, 110, 164))
    HALVINGS: ClassVar = 2
    BATCH: ClassVar = 64

    depth: int
    classes: int = 10
    channels: int = 3
    width: int = 16  # of the first stage; the stages have width, 2 width and 4 width channels
    size: int = 32
    shortcut: Shortcut = "A"

    def module(self) -> nn.Module:
        """The network in torch."""
        return CifarResNet(self)


class CifarResNet(nn.Module):
    """A 3x3 stem, three stages of n basic blocks at H, H/2 and H/4, global average, linear."""

    def __init__(self, design: CifarResNetDesign) -> None:
        super().__init__()
        width, blocks, shortcut = design.width, (design.depth - 2) // 6, design.shortcut
        self.conv1 = conv(design.channels, width, 3)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.layer1 = basic_stage(width, width, blocks, 1, shortcut)
        self.layer2 = basic_stage(width, 2 * width, blocks, 2, shortcut)
        self.layer3 = basic_stage(2 * width, 4 * width, blocks, 2, shortcut)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4 * width, design.classes)
        initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] of images [N, channels, H, W]."""
        x = self.relu(self.bn1(self.conv1(images)))
        x = self.avgpool(self.layer3(self.layer2(self.layer1(x))))
        logits: torch.Tensor = self.fc(torch.flatten(x, 1))
        return logits
