"""ResSep, the separable residual network of HydraNets (CVPR 2018), section 4.1 and figure 2.

The paper leaves open what the first instance of a block looks like, whether w scales the stem,
and whether projection and combiner belong to the static network. The reading here comes nearest
to its table 1 (parameters within 0.6 %, multiply-adds within 4 %, for all five): the first
instance is one strided convolution, each further one a residual pair; w scales the stem, and
projection and combiner stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from hydrafy.zoo.design import Design
from hydrafy.zoo.layers import active, initialise, normed


@dataclass(frozen=True, kw_only=True)
class ResSepDesign(Design):
    """`ressep`; the paper's A is the default, B to E have d, w = 3, .5; 2, .75; 3, .75; 3, 1."""

    PATTERN: ClassVar = "ressep"
    LISTED: ClassVar = ("ressep",)
    HALVINGS: ClassVar = 5
    BATCH: ClassVar = 16
    LIMITS: ClassVar = {"d": 50, "w": 16}

    d: int = 2  # instances of every block
    w: float = 0.5  # factor of all widths
    classes: int = 1000
    size: int = 224

    def module(self) -> nn.Module:
        """The network in torch."""
        return ResSep(self)


class ResSep(nn.Module):
    """A 3x3 stem and a max pool, four blocks at H/4 to H/32, projection, combiner, linear."""

    def __init__(self, design: ResSepDesign) -> None:
        super().__init__()
        stem, *widths = (max(1, int(n * design.w)) for n in (64, 128, 256, 512, 1024))
        self.init = active(3, stem, 3, stride=2)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        blocks, inputs = [], stem
        for number, width in enumerate(widths):
            blocks.append(_block(inputs, width, design.d, 2 if number else 1))
            inputs = width
        self.blocks = nn.Sequential(*blocks)
        self.projection = active(inputs, inputs, 1)
        self.combiner = _separable(inputs, inputs)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, design.classes)
        initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] of images [N, 3, H, W]."""
        x = self.blocks(self.maxpool(self.init(images)))
        x = self.avgpool(self.combiner(self.projection(x)))
        logits: torch.Tensor = self.fc(torch.flatten(x, 1))
        return logits


class SeparablePair(nn.Module):
    """Two separable convolutions beside the identity, Relu after the sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one = _separable(width, width)
        self.two = _separable(width, width)[:-1]  # its Relu comes after the sum
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, width, H, W] to the same."""
        joined: torch.Tensor = self.relu(x + self.two(self.one(x)))
        return joined


def _block(inputs: int, width: int, instances: int, stride: int) -> nn.Sequential:
    first = _separable(inputs, width, stride)
    return nn.Sequential(first, *(SeparablePair(width) for _ in range(instances - 1)))


def _separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A depthwise 3x3 and a pointwise convolution, each with BatchNorm and Relu."""
    depthwise = normed(inputs, inputs, 3, stride, groups=inputs)
    return nn.Sequential(*depthwise, nn.ReLU(), *active(inputs, outputs, 1))
