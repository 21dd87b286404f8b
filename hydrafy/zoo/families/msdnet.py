"""MSDNet, the multi-scale dense network of Huang et al. (arXiv:1703.09844), for small images.

The defaults are the network of table 1 of "Improved techniques for training adaptive deep
networks" (ICCV 2019): seven exits, behind layer 1, 3, 6, 10, 15, 21 and 28.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn

from hydrafy.zoo.design import Design
from hydrafy.zoo.layers import active, initialise

EXIT_WIDTH = 128  # channels of the two convolutions before an exit's linear layer


@dataclass(frozen=True, kw_only=True)
class MsdNetDesign(Design):
    """`msdnet`: its outputs are exit1, exit2 ..., each logits [N, classes].

    Every third of the layers (for three scales) drops the finest scale that is left, and is
    followed by a 1x1 convolution that halves the channels (appendix A of the paper).
    """

    PATTERN: ClassVar = "msdnet"
    LISTED: ClassVar = ("msdnet",)
    HALVINGS: ClassVar = 4
    BATCH: ClassVar = 32
    LIMITS: ClassVar = {"exits": 50, "base": 50, "step": 50, "scales": 5}

    exits: int = 7
    base: int = 1  # layers before the first exit
    step: int = 1  # layers from one exit to the next; with `linear` step * i + 1 before exit i + 1
    spacing: Literal["linear", "even"] = "linear"
    scales: int = 3  # the next coarser has half the pixels and twice the channels
    width: int = 16  # channels of the finest scale after the stem
    growth: int = 6  # channels that a layer adds to the finest scale
    classes: int = 100
    channels: int = 3
    size: int = 32

    @property
    def outputs(self) -> tuple[str, ...]:
        """The exits, the earliest first."""
        return tuple(f"exit{number + 1}" for number in range(self.exits))

    @property
    def spans(self) -> tuple[int, ...]:
        """How many layers lie before each exit and behind the one before it."""
        grows = self.spacing == "linear"
        later = (self.step * i + 1 if grows else self.step for i in range(1, self.exits))
        return (self.base, *later)

    def module(self) -> nn.Module:
        """The network in torch."""
        return MsdNet(self)


class MsdNet(nn.Module):
    """A stem that makes the scales, then blocks of layers, an exit behind each."""

    def __init__(self, design: MsdNetDesign) -> None:
        super().__init__()
        width, growth, scales = design.width, design.growth, range(design.scales)
        interval = math.ceil(sum(design.spans) / design.scales)
        self.stem = Stem(design.channels, width, scales)
        blocks, exits, number = [], [], 0
        for span in design.spans:
            layers: list[nn.Module] = []
            for _ in range(span):
                drops = number > 0 and number % interval == 0
                scales = scales[1:] if drops else scales
                layers.append(Layer(width, growth, scales, drops))
                width += growth
                if drops:
                    layers.append(Transition(width, width // 2, scales))
                    width //= 2
                number += 1
            blocks.append(nn.Sequential(*layers))
            exits.append(_exit(width << scales[-1], design.classes))
        self.blocks, self.exits = nn.ModuleList(blocks), nn.ModuleList(exits)
        initialise(self)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Logits [N, classes] of every exit, the earliest first, of images [N, channels, H, W]."""
        features, logits = self.stem(images), []
        for block, leave in zip(self.blocks, self.exits, strict=True):
            features = block(features)
            logits.append(leave(features[-1]))
        return tuple(logits)


class Stem(nn.Module):
    """A 3x3 convolution for every scale, each but the first strided, on the one before it."""

    def __init__(self, channels: int, width: int, scales: range) -> None:
        super().__init__()
        first = active(channels, width, 3)
        others = (active(width << s - 1, width << s, 3, stride=2) for s in scales[1:])
        self.scales = nn.ModuleList([first, *others])

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """[N, channels, H, W] to the features of every scale, the finest first."""
        features = []
        for scale in self.scales:
            features.append(x := scale(x))
        return features


class Layer(nn.Module):
    """Puts new channels behind those of every scale, made from this scale and the next finer.

    A scale that has no finer one makes all its new channels itself. With `drops` the features
    that come in have one scale more, the finest, which ends here.
    """

    def __init__(self, width: int, growth: int, scales: range, drops: bool) -> None:
        super().__init__()
        alone = [] if drops else scales[:1]
        self.drops = drops
        self.same, self.down = nn.ModuleList(), nn.ModuleList()
        for scale in scales:
            added = growth << scale if scale in alone else growth << scale - 1
            self.same.append(_bottleneck(width, scale, added))
            if scale not in alone:
                self.down.append(_bottleneck(width, scale - 1, added, stride=2))

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """Features of every scale to the same with more channels."""
        finer = [down(x) for down, x in zip(self.down, features, strict=False)]
        kept = features[1:] if self.drops else features
        given = [[y] for y in finer] if self.drops else [[], *([y] for y in finer)]
        return [
            torch.cat([x, *more, same(x)], 1)
            for x, more, same in zip(kept, given, self.same, strict=True)
        ]


class Transition(nn.Module):
    """A 1x1 convolution at every scale."""

    def __init__(self, inputs: int, outputs: int, scales: range) -> None:
        super().__init__()
        self.scales = nn.ModuleList(active(inputs << s, outputs << s, 1) for s in scales)

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """Features of every scale to the same with other channels."""
        return [scale(x) for scale, x in zip(self.scales, features, strict=True)]


def _bottleneck(width: int, scale: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """1x1 to at most 1, 2, 4 ... times the outputs, the coarser the wider; then 3x3."""
    inputs = width << scale
    inner = min(inputs, outputs << scale)
    return nn.Sequential(active(inputs, inner, 1), active(inner, outputs, 3, stride))


def _exit(inputs: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        active(inputs, EXIT_WIDTH, 3, stride=2),
        active(EXIT_WIDTH, EXIT_WIDTH, 3, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(EXIT_WIDTH, classes),
    )
