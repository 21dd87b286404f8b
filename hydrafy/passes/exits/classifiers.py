"""What answers at an exit: from an image tensor on the way to logits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.layers import channels
from hydrafy.ir.values import dims
from hydrafy.passes import fresh
from hydrafy.passes.fresh import Place


class Head(ABC):
    """A kind of classifier. Subclasses are frozen dataclasses of their options."""

    @abstractmethod
    def logits(self, place: Place, x: ir.Value, classes: int) -> ir.Value:
        """New layers from x [N, C, H, W] to logits [N, classes]."""


@dataclass(frozen=True)
class Linear(Head):
    """Global average pooling and a fully connected layer.

    Args:
        spread: of its weights, 1 for that which keeps the scale of features; 0 makes them zeros.
    """

    spread: float = 1.0

    def logits(self, place: Place, x: ir.Value, classes: int) -> ir.Value:
        """See the class."""
        scale = self.spread / np.sqrt(channels(x))
        return fresh.linear(place, fresh.averaged(place, x), "logits", scale, np.zeros(classes))


LINEAR = Linear()


@dataclass(frozen=True)
class Strided(Head):
    """Two 3x3 convolutions of stride 2 with BatchNormalization and Relu, and then as `Linear`.

    MSDNet's (Huang et al., 2018), where the average is over 2x2: all that the convolutions leave of
    an image of 8x8. Here it is global for images of any size. One that is too small for two strides
    gets as many as halve it.

    Args:
        width: filters of each convolution.
        last: what follows them.
    """

    width: int = 128
    last: Linear = LINEAR

    def logits(self, place: Place, x: ir.Value, classes: int) -> ir.Value:
        """See the class."""
        for number in range(2):
            if min(dims(x)[1:]) > 1:
                x = fresh.convolved(place, x, f".{number}", self.width, stride=2)
        return self.last.logits(place, x, classes)
