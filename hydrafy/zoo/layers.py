"""The layers that all families are made of, and their first weights."""

from __future__ import annotations

from torch import nn


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A square convolution without bias that keeps height and width, but for its stride."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


def normed(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """A convolution and its BatchNorm."""
    return nn.Sequential(conv(inputs, outputs, kernel, stride, groups), nn.BatchNorm2d(outputs))


def active(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """A convolution, its BatchNorm and a Relu."""
    return nn.Sequential(*normed(inputs, outputs, kernel, stride), nn.ReLU())


def initialise(module: nn.Module) -> None:
    """He et al., "Delving deep into rectifiers" (arXiv:1502.01852), section 2.2, backward form."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
