"""The residual networks of He et al., "Deep residual learning" (arXiv:1512.03385), in torch."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import nn

Shortcut = Literal["A", "B"]


class CifarResNet(nn.Module):
    """The network for small images of section 4.2: [N, channels, H, W] to logits [N, classes].

    A 3x3 stem, three stages of n basic blocks at H, H/2 and H/4, global average, linear layer.

    Args:
        depth: weighted layers, 6n + 2 for n >= 1.
        classes: the length of the logits.
        channels: of the images.
        width: channels of the first stage; the second has twice, the third four times as many.
        shortcut: where the shape changes: `A` takes every second pixel and pads channels with
            zeros (no parameters), `B` is a strided 1x1 convolution with BatchNorm.

    Raises:
        ValueError: the depth is not 6n + 2.
    """

    def __init__(
        self,
        depth: int,
        classes: int = 10,
        channels: int = 3,
        width: int = 16,
        shortcut: Shortcut = "A",
    ) -> None:
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"depth {depth} is not 6n + 2")
        blocks = (depth - 2) // 6
        self.conv1 = _conv(channels, width, 3)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.layer1 = self._stage(width, width, blocks, 1, shortcut)
        self.layer2 = self._stage(width, 2 * width, blocks, 2, shortcut)
        self.layer3 = self._stage(2 * width, 4 * width, blocks, 2, shortcut)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4 * width, classes)
        _initialise(self)

    @staticmethod
    def _stage(
        inputs: int, outputs: int, blocks: int, stride: int, shortcut: Shortcut
    ) -> nn.Sequential:
        change: nn.Module | None = None
        if inputs != outputs:
            change = (
                PadShortcut(inputs, outputs, stride)
                if shortcut == "A"
                else _projection(inputs, outputs, stride)
            )
        first = BasicBlock(inputs, outputs, stride, change)
        return nn.Sequential(first, *(BasicBlock(outputs, outputs) for _ in range(blocks - 1)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] of images [N, channels, H, W]."""
        x = self.relu(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return _head(self.avgpool(x), self.fc)


class ImageNetResNet(nn.Module):
    """The network for ImageNet of table 1: [N, 3, H, W] to logits [N, classes].

    Topology and parameter names are torchvision's, so that its checkpoints load: a bottleneck
    strides in its 3x3 convolution (the paper: in its first 1x1).

    Args:
        depth: 18, 34 (basic blocks) or 50 (bottlenecks).
        classes: the length of the logits.

    Raises:
        ValueError: another depth.
    """

    BLOCKS: ClassVar = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}

    def __init__(self, depth: int, classes: int = 1000) -> None:
        super().__init__()
        if depth not in self.BLOCKS:
            raise ValueError(f"depth {depth} is none of {', '.join(map(str, self.BLOCKS))}")
        block = Bottleneck if depth >= 50 else BasicBlock
        one, two, three, four = self.BLOCKS[depth]
        grown = 64 * block.EXPANSION
        self.conv1 = _conv(3, 64, 7, stride=2)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = self._stage(block, 64, 64, one, 1)
        self.layer2 = self._stage(block, grown, 128, two, 2)
        self.layer3 = self._stage(block, 2 * grown, 256, three, 2)
        self.layer4 = self._stage(block, 4 * grown, 512, four, 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * grown, classes)
        _initialise(self)

    @staticmethod
    def _stage(
        block: type[BasicBlock] | type[Bottleneck],
        inputs: int,
        width: int,
        blocks: int,
        stride: int,
    ) -> nn.Sequential:
        outputs = width * block.EXPANSION
        change = _projection(inputs, outputs, stride) if inputs != outputs else None
        first = block(inputs, width, stride, change)
        return nn.Sequential(first, *(block(outputs, width) for _ in range(blocks - 1)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] of images [N, 3, H, W]."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return _head(self.avgpool(x), self.fc)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside the shortcut, Relu after the sum (figure 5, left)."""

    EXPANSION = 1

    def __init__(
        self, inputs: int, width: int, stride: int = 1, downsample: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.conv2 = _conv(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, inputs, H, W] to [N, width, H/stride, W/stride]."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return _join(y, x, self.downsample, self.relu)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside the shortcut, Relu after the sum (figure 5, right)."""

    EXPANSION = 4

    def __init__(
        self, inputs: int, width: int, stride: int = 1, downsample: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _conv(width, width * self.EXPANSION, 1)
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


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


def _projection(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


def _join(
    y: torch.Tensor, x: torch.Tensor, downsample: nn.Module | None, relu: nn.Module
) -> torch.Tensor:
    joined: torch.Tensor = relu(y + (x if downsample is None else downsample(x)))
    return joined


def _head(pooled: torch.Tensor, fc: nn.Linear) -> torch.Tensor:
    logits: torch.Tensor = fc(torch.flatten(pooled, 1))
    return logits


def _initialise(module: nn.Module) -> None:
    # He et al., "Delving deep into rectifiers" (arXiv:1502.01852), section 2.2, backward form
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
