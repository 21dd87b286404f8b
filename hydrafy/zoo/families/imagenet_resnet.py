"""The residual networks for ImageNet of He et al. (arXiv:1512.03385), table 1, and ResNeXt.

Topology and parameter names are torchvision's, so that its checkpoints load.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from hydrafy.zoo.blocks import basic_stage, bottleneck_stage
from hydrafy.zoo.design import Design
from hydrafy.zoo.layers import conv, initialise

BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


@dataclass(frozen=True, kw_only=True)
class ImageNetResNetDesign(Design):
    """`resnetN` for N = 18, 34 (basic blocks), 50, 101, 152 (bottlenecks)."""

    PATTERN: ClassVar = r"(?:imagenet_)?resnet(?P<depth>\d+)"
    DEPTHS: ClassVar = tuple(BLOCKS)
    LISTED: ClassVar = tuple(f"resnet{depth}" for depth in BLOCKS)
    HALVINGS: ClassVar = 5
    BATCH: ClassVar = 8

    depth: int
    classes: int = 1000
    size: int = 224

    def module(self) -> nn.Module:
        """The network in torch."""
        return ImageNetResNet(self.depth, self.classes)


@dataclass(frozen=True, kw_only=True)
class ImageNetResNeXtDesign(Design):
    """`resnextN` for N = 50, 101; `resnext50_32x4d` is a name, too (Xie et al., table 1).

    Cardinality 1 and base width 128 make torchvision's wide_resnet50_2.
    """

    PATTERN: ClassVar = (
        r"(?:imagenet_)?resnext(?P<depth>\d+)(?:_(?P<cardinality>\d+)x(?P<base_width>\d+)d)?"
    )
    DEPTHS: ClassVar = (50, 101)
    LISTED: ClassVar = ("resnext50", "resnext50_32x4d", "resnext101_32x8d")
    HALVINGS: ClassVar = 5
    BATCH: ClassVar = 8

    depth: int
    cardinality: int = 32  # groups of every 3x3 convolution
    base_width: int = 4  # channels of a group in the first stage
    classes: int = 1000
    size: int = 224

    def module(self) -> nn.Module:
        """The network in torch."""
        return ImageNetResNet(self.depth, self.classes, self.cardinality, self.base_width)


class ImageNetResNet(nn.Module):
    """A 7x7 stem and a max pool, four stages at H/4 to H/32, global average, linear."""

    def __init__(
        self, depth: int, classes: int, cardinality: int = 1, base_width: int = 64
    ) -> None:
        super().__init__()
        self.conv1 = conv(3, 64, 7, stride=2)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        grown = 1 if depth < 50 else 4
        one, two, three, four = BLOCKS[depth]

        def stage(inputs: int, width: int, blocks: int, stride: int) -> nn.Sequential:
            if depth < 50:
                return basic_stage(inputs, width, blocks, stride)
            return bottleneck_stage(inputs, width, blocks, stride, cardinality, base_width)

        self.layer1 = stage(64, 64, one, 1)
        self.layer2 = stage(64 * grown, 128, two, 2)
        self.layer3 = stage(128 * grown, 256, three, 2)
        self.layer4 = stage(256 * grown, 512, four, 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512 * grown, classes)
        initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] of images [N, 3, H, W]."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        x = self.avgpool(self.layer4(self.layer3(self.layer2(self.layer1(x)))))
        logits: torch.Tensor = self.fc(torch.flatten(x, 1))
        return logits
