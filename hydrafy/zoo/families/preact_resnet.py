"""Pre-activation residual networks for small images, narrow (He et al.) and wide (Zagoruyko)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn

from hydrafy.errors import OptionError
from hydrafy.zoo.design import Design
from hydrafy.zoo.layers import conv, initialise

Block = Literal["basic", "bottleneck"]
CONVOLUTIONS = {"basic": 2, "bottleneck": 3}


@dataclass(frozen=True, kw_only=True)
class PreactResNetDesign(Design):
    """`preact_resnetN` (He et al., arXiv:1603.05027): N = 6n + 2 of basic blocks, else 9n + 2.

    The paper's 110 has basic blocks, its 164 and 1001 have bottlenecks.
    """

    PATTERN: ClassVar = r"preact_resnet(?P<depth>\d+)"
    DEPTHS: ClassVar = tuple(sorted({*range(8, 2000, 6), *range(11, 2000, 9)}))
    LISTED: ClassVar = ("preact_resnet20", "preact_resnet110", "preact_resnet164")
    HALVINGS: ClassVar = 2
    BATCH: ClassVar = 64

    depth: int
    block: Block = "basic"
    classes: int = 10
    channels: int = 3
    width: int = 16  # of the first stage's 3x3 convolutions
    size: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        layers = 3 * CONVOLUTIONS[self.block]
        if self.depth % layers != 2:
            other = "bottleneck" if self.block == "basic" else "basic"
            raise OptionError(
                f"block={self.block}: depth {self.depth} is not {layers}n + 2, use block={other}"
            )

    def module(self) -> nn.Module:
        """The network in torch."""
        blocks = (self.depth - 2) // (3 * CONVOLUTIONS[self.block])
        return PreactResNet(self.channels, self.width, self.width, blocks, self.block, self.classes)


@dataclass(frozen=True, kw_only=True)
class WideResNetDesign(Design):
    """`wrnN_K`: WRN-N-K, depth N = 6n + 4 and K times as wide (Zagoruyko, arXiv:1605.07146).

    Dropout within the blocks, which inference does not have, is left out.
    """

    PATTERN: ClassVar = r"wrn(?P<depth>\d+)_(?P<widening>\d+)"
    DEPTHS: ClassVar = range(10, 2000, 6)
    LISTED: ClassVar = ("wrn16_8", "wrn28_10", "wrn40_4")
    HALVINGS: ClassVar = 2
    BATCH: ClassVar = 8

    depth: int
    widening: int
    classes: int = 10
    channels: int = 3
    size: int = 32

    def module(self) -> nn.Module:
        """The network in torch."""
        blocks = (self.depth - 4) // 6
        return PreactResNet(self.channels, 16, 16 * self.widening, blocks, "basic", self.classes)


class PreactResNet(nn.Module):
    """A 3x3 stem, three stages of pre-activation blocks, BatchNorm, Relu, average, linear."""

    def __init__(
        self, channels: int, stem: int, width: int, blocks: int, block: Block, classes: int
    ) -> None:
        super().__init__()
        out = width if block == "basic" else 4 * width
        self.conv1 = conv(channels, stem, 3)
        self.layer1 = _stage(stem, width, out, blocks, 1)
        self.layer2 = _stage(out, 2 * width, 2 * out, blocks, 2)
        self.layer3 = _stage(2 * out, 4 * width, 4 * out, blocks, 2)
        self.bn = nn.BatchNorm2d(4 * out)
        self.relu = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4 * out, classes)
        initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] of images [N, channels, H, W]."""
        x = self.layer3(self.layer2(self.layer1(self.conv1(images))))
        x = self.avgpool(self.relu(self.bn(x)))
        logits: torch.Tensor = self.fc(torch.flatten(x, 1))
        return logits


class PreactBlock(nn.Module):
    """BatchNorm and Relu before each convolution, nothing after the sum (1603.05027, figure 4e).

    Where the shape changes, a strided 1x1 convolution of the activated input is the shortcut.
    """

    def __init__(self, inputs: int, width: int, outputs: int, stride: int) -> None:
        super().__init__()
        if width == outputs:
            plan = [(inputs, width, 3, stride), (width, outputs, 3, 1)]
        else:
            plan = [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)]
        self.bn = nn.BatchNorm2d(inputs)
        self.relu = nn.ReLU()
        self.conv = conv(*plan[0])
        self.rest = nn.Sequential(
            *(
                layer
                for one in plan[1:]
                for layer in (nn.BatchNorm2d(one[0]), nn.ReLU(), conv(*one))
            )
        )
        self.shortcut = conv(inputs, outputs, 1, stride) if inputs != outputs else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, inputs, H, W] to [N, outputs, H/stride, W/stride]."""
        active = self.relu(self.bn(x))
        kept = x if self.shortcut is None else self.shortcut(active)
        joined: torch.Tensor = kept + self.rest(self.conv(active))
        return joined


def _stage(inputs: int, width: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    first = PreactBlock(inputs, width, outputs, stride)
    others = (PreactBlock(outputs, width, outputs, 1) for _ in range(blocks - 1))
    return nn.Sequential(first, *others)
