"""The densely connected networks of Huang et al., "DenseNet" (arXiv:1608.06993), kind BC."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from hydrafy.zoo.design import Design
from hydrafy.zoo.layers import conv, initialise

LAYERS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}
_Layers = OrderedDict[str, nn.Module]
BOTTLENECK = 4  # channels of the 1x1 convolution, in units of the growth


@dataclass(frozen=True, kw_only=True)
class CifarDenseNetDesign(Design):
    """`densenetN` for N = 6n + 4, with growth 12; `densenet190_k40` tells the growth, too.

    Section 3, "implementation details": 2 k channels after the stem, three blocks.
    """

    PATTERN: ClassVar = r"(?:cifar_)?densenet(?P<depth>\d+)(?:_k(?P<growth>\d+))?"
    DEPTHS: ClassVar = range(10, 2000, 6)
    LISTED: ClassVar = ("densenet40", "densenet100", "densenet250_k24", "densenet190_k40")
    HALVINGS: ClassVar = 2
    BATCH: ClassVar = 16

    depth: int
    growth: int = 12
    classes: int = 10
    channels: int = 3
    size: int = 32

    def module(self) -> nn.Module:
        """The network in torch."""
        width = 2 * self.growth
        stem = _Layers(conv0=conv(self.channels, width, 3))
        return DenseNet(stem, width, self.growth, [(self.depth - 4) // 6] * 3, self.classes)


@dataclass(frozen=True, kw_only=True)
class ImageNetDenseNetDesign(Design):
    """`densenetN` for N = 121, 169, 201, with growth 32 (table 1).

    Topology and parameter names are torchvision's, so that its checkpoints load.
    """

    PATTERN: ClassVar = r"(?:imagenet_)?densenet(?P<depth>\d+)"
    DEPTHS: ClassVar = tuple(LAYERS)
    LISTED: ClassVar = tuple(f"densenet{depth}" for depth in LAYERS)
    HALVINGS: ClassVar = 5
    BATCH: ClassVar = 8

    depth: int
    growth: int = 32
    classes: int = 1000
    size: int = 224

    def module(self) -> nn.Module:
        """The network in torch."""
        width = 2 * self.growth
        stem = _Layers(
            conv0=conv(3, width, 7, stride=2),
            norm0=nn.BatchNorm2d(width),
            relu0=nn.ReLU(),
            pool0=nn.MaxPool2d(3, stride=2, padding=1),
        )
        return DenseNet(stem, width, self.growth, LAYERS[self.depth], self.classes)


class DenseNet(nn.Module):
    """A stem, dense blocks with transitions between them, BatchNorm, Relu, average, linear.

    Args:
        stem: the named layers before the first block.
        width: channels of what the stem gives.
        growth: k, the channels that each layer adds.
        blocks: layers of each dense block.
        classes: the length of the logits.
    """

    def __init__(
        self,
        stem: _Layers,
        width: int,
        growth: int,
        blocks: Sequence[int],
        classes: int,
    ) -> None:
        super().__init__()
        parts = OrderedDict(stem)
        for number, layers in enumerate(blocks, 1):
            if number > 1:
                parts[f"transition{number - 1}"] = _transition(width)
                width //= 2
            parts[f"denseblock{number}"] = _block(width, growth, layers)
            width += layers * growth
        parts[f"norm{len(blocks) + 1}"] = nn.BatchNorm2d(width)
        self.features = nn.Sequential(parts)
        self.relu = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(width, classes)
        initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] of images [N, channels, H, W]."""
        x = self.avgpool(self.relu(self.features(images)))
        logits: torch.Tensor = self.classifier(torch.flatten(x, 1))
        return logits


class DenseLayer(nn.Module):
    """BatchNorm, Relu, 1x1 to 4k channels, BatchNorm, Relu, 3x3 to k, put behind the input."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.relu = nn.ReLU()
        self.conv1 = conv(inputs, BOTTLENECK * growth, 1)
        self.norm2 = nn.BatchNorm2d(BOTTLENECK * growth)
        self.conv2 = conv(BOTTLENECK * growth, growth, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, inputs, H, W] to [N, inputs + growth, H, W]."""
        y = self.conv1(self.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(self.relu(self.norm2(y)))], 1)


def _block(width: int, growth: int, layers: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            (f"denselayer{n + 1}", DenseLayer(width + n * growth, growth)) for n in range(layers)
        )
    )


def _transition(width: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(width),
            relu=nn.ReLU(),
            conv=conv(width, width // 2, 1),
            pool=nn.AvgPool2d(2),
        )
    )
