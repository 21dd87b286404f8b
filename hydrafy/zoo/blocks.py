"""The residual blocks of He et al. (arXiv:1512.03385), and stages of them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from hydrafy.zoo.layers import conv, normed

Shortcut = Literal["A", "B"]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside the shortcut, Relu after the sum (figure 5, left)."""

    EXPANSION = 1

    def __init__(
        self, inputs: int, width: int, stride: int = 1, downsample: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.conv1 = conv(inputs, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.conv2 = conv(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, inputs, H, W] to [N, width, H/stride, W/stride]."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return _join(y, x, self.downsample, self.relu)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside the shortcut, Relu after the sum (figure 5, right).

    The 3x3 strides, as in torchvision (the paper: the first 1x1). With more than one group this
    is the block of ResNeXt (Xie et al., arXiv:1611.05431, figure 3c).

    Args:
        inputs: channels of what comes in.
        width: a quarter of the channels that go out.
        stride: of the 3x3.
        downsample: the shortcut, where it is not the identity.
        groups: of the 3x3; ResNeXt's cardinality.
        inner: channels of the 3x3; `width` by default.
    """

    EXPANSION = 4

    def __init__(
        self,
        inputs: int,
        width: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        inner: int = 0,
    ) -> None:
        super().__init__()
        inner = inner or width
        self.conv1 = conv(inputs, inner, 1)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = conv(inner, inner, 3, stride, groups)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = conv(inner, width * self.EXPANSION, 1)
        self.bn3 = nn.BatchNorm2d(width * self.EXPANSION)
        self.relu = nn.ReLU()
        self.downsample = downsample

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, inputs, H, W] to [N, 4 width, H/stride, W/stride]."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return _join(y, x, self.downsample, self.relu)


class PadShortcut(nn.Module):
    """Shortcut A of section 3.3: every stride-th pixel, new channels zero, half on either side."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.before = (outputs - inputs) // 2
        self.after = outputs - inputs - self.before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, inputs, H, W] to [N, outputs, H/stride, W/stride]."""
        taken = x[:, :, :: self.stride, :: self.stride]
        return nn.functional.pad(taken, (0, 0, 0, 0, self.before, self.after))


def basic_stage(
    inputs: int, width: int, blocks: int, stride: int, shortcut: Shortcut = "B"
) -> nn.Sequential:
    """Basic blocks; where the shape changes, shortcut A or a strided projection (B)."""
    change: nn.Module | None = None
    if inputs != width:
        change = (
            PadShortcut(inputs, width, stride)
            if shortcut == "A"
            else normed(inputs, width, 1, stride)
        )
    first = BasicBlock(inputs, width, stride, change)
    return nn.Sequential(first, *(BasicBlock(width, width) for _ in range(blocks - 1)))


def bottleneck_stage(
    inputs: int, width: int, blocks: int, stride: int, cardinality: int = 1, base_width: int = 64
) -> nn.Sequential:
    """Bottlenecks of 4 `width` channels; a group has `base_width` where `width` is 64."""
    outputs = width * Bottleneck.EXPANSION
    inner = width * base_width // 64 * cardinality
    change = normed(inputs, outputs, 1, stride) if inputs != outputs else None
    first = Bottleneck(inputs, width, stride, change, cardinality, inner)
    others = (Bottleneck(outputs, width, 1, None, cardinality, inner) for _ in range(blocks - 1))
    return nn.Sequential(first, *others)


def _join(
    y: torch.Tensor, x: torch.Tensor, downsample: nn.Module | None, relu: nn.Module
) -> torch.Tensor:
    joined: torch.Tensor = relu(y + (x if downsample is None else downsample(x)))
    return joined
