"""The ResNeXt for small images of Xie et al. (arXiv:1611.05431), section 5.3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from hydrafy.zoo.blocks import bottleneck_stage
from hydrafy.zoo.design import Design
from hydrafy.zoo.layers import conv, initialise


@dataclass(frozen=True, kw_only=True)
class CifarResNeXtDesign(Design):
    """`resnextN` for N = 9n + 2; `resnext29_16x64d` is a name, too. The paper's: 29, 8x64d."""

    PATTERN: ClassVar = (
        r"(?:cifar_)?resnext(?P<depth>\d+)(?:_(?P<cardinality>\d+)x(?P<base_width>\d+)d)?"
    )
    DEPTHS: ClassVar = range(11, 2000, 9)
    LISTED: ClassVar = ("resnext29", "resnext29_16x64d")
    HALVINGS: ClassVar = 2
    BATCH: ClassVar = 16

    depth: int
    cardinality: int = 8  # groups of every 3x3 convolution
    base_width: int = 64  # channels of a group in the first stage
    classes: int = 10
    channels: int = 3
    size: int = 32

    def module(self) -> nn.Module:
        """The network in torch."""
        return CifarResNeXt(self)


class CifarResNeXt(nn.Module):
    """A 3x3 stem, three stages of n grouped bottlenecks at H, H/2, H/4, global average, linear."""

    def __init__(self, design: CifarResNeXtDesign) -> None:
        super().__init__()
        blocks = (design.depth - 2) // 9
        groups = design.cardinality, design.base_width
        self.conv1 = conv(design.channels, 64, 3)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.layer1 = bottleneck_stage(64, 64, blocks, 1, *groups)
        self.layer2 = bottleneck_stage(256, 128, blocks, 2, *groups)
        self.layer3 = bottleneck_stage(512, 256, blocks, 2, *groups)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(1024, design.classes)
        initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] of images [N, channels, H, W]."""
        x = self.relu(self.bn1(self.conv1(images)))
        x = self.avgpool(self.layer3(self.layer2(self.layer1(x))))
        logits: torch.Tensor = self.fc(torch.flatten(x, 1))
        return logits
