"""Probabilistic gates: networks that say of each sample how likely it is to need something.

Source: Deep networks with probabilistic gates (2018), Section 4.1.1, with gates of ConvNet-AIG.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.layers import channels
from hydrafy.ir.values import dims
from hydrafy.passes import fresh
from hydrafy.passes.fresh import Place

LEAST = 1e-6  # probability of what stochastic depth hardly ever does: log-odds stay finite
POOL = 4  # places, across and down, of which a convolutional gate takes the mean


@dataclass(frozen=True, kw_only=True)
class Gate(ABC):
    """A kind of gate. Subclasses are frozen dataclasses of what it is like.

    Attributes:
        sampled: whether noise in the place of its thresholds does what training does.
        temperature: of the Gumbel softmax in training, in the first epoch.
        cooled: the same in the last epoch.
    """

    sampled: ClassVar[bool] = True
    temperature: float = 1.0
    cooled: float = 1.0

    @abstractmethod
    def odds(self, place: Place, x: ir.Value, columns: range, of: int) -> ir.Value:
        """Log-odds [N, choices] of being open.

        Args:
            place: where it stands.
            x: what it sees, an image tensor [N, C, H, W].
            columns: the numbers of its choices among those of all gates.
            of: how many there are.
        """

    def decide(self, place: Place, x: ir.Value, bound: ir.Value, columns: range) -> ir.Value:
        """The decision bool [N, choices] of a new gate.

        Args:
            place: where it stands.
            x: what it sees, an image tensor [N, C, H, W].
            bound: on the log-odds of all gates, [rows, columns].
            columns: which of them it decides about.
        """
        odds = self.odds(place, x, columns, channels(bound))
        order = place.weight("columns", np.array(columns), np.int64)
        own = place.put("Gather", [bound, order], "bound", axis=1)
        heat = {"temperature": self.temperature, "cooled": self.cooled}
        scaled = {} if self.sampled else {"inverted": 1}
        return place.put("GumbelGate", [odds, own], "open", **heat, **scaled)


@dataclass(frozen=True, kw_only=True)
class Seeing(Gate):
    """A gate with a network of its own, which ends in two logits for each choice.

    Attributes:
        hidden: units of the hidden layer, or filters of each convolution.
        spread: standard deviation of the last layer's weights: how much a fresh gate minds what it
            sees.
        bias: of a fresh gate's two logits, closed and open.
    """

    hidden: int = 16
    spread: float = 1.0
    bias: tuple[float, float] = (0.0, 0.0)

    @abstractmethod
    def seen(self, place: Place, x: ir.Value) -> ir.Value:
        """What it makes of an image tensor: [N, features]."""

    def odds(self, place: Place, x: ir.Value, columns: range, of: int) -> ir.Value:
        """See the base class."""
        bias, features = np.repeat(self.bias, len(columns)), self.seen(place, x)
        logits = fresh.linear(place, features, "logits", self.spread, bias)
        return _difference(place, logits, len(columns))


@dataclass(frozen=True, kw_only=True)
class Dependent(Seeing):
    """Global average pooling, a linear layer of `hidden` units, BatchNormalization and Relu."""

    def seen(self, place: Place, x: ir.Value) -> ir.Value:
        """See the base class."""
        scale, pooled = 1 / np.sqrt(channels(x)), fresh.averaged(place, x)
        hidden = fresh.linear(place, pooled, "hidden", scale, np.zeros(self.hidden))
        return fresh.normed(place, hidden)


@dataclass(frozen=True, kw_only=True)
class Convolutional(Seeing):
    """Two 3x3 convolutions of `hidden` filters, and an average over squares of 4x4 places.

    That of the paper's early exits (S2.4). Each convolution has BatchNormalization and Relu (which
    the paper does not mention); where there are fewer places, the average is over all.
    """

    def seen(self, place: Place, x: ir.Value) -> ir.Value:
        """See the base class."""
        for end in (".0", ".1"):
            x = fresh.convolved(place, x, end, self.hidden)
        if min(dims(x)[1:]) < POOL:
            return fresh.averaged(place, x)
        square = [POOL, POOL]
        pooled = place.put("AveragePool", [x], "pool", kernel_shape=square, strides=square)
        return place.put("Flatten", [pooled], "flat")


@dataclass(frozen=True, kw_only=True)
class Independent(Gate):
    """Two learned logits for each choice; nothing is seen.

    Attributes:
        bias: a fresh gate's, closed and open.
    """

    bias: tuple[float, float] = (0.0, 0.0)

    def odds(self, place: Place, x: ir.Value, columns: range, of: int) -> ir.Value:
        """See the base class."""
        row = place.weight("logits.weight", np.repeat(self.bias, len(columns))[None])
        return _difference(place, place.put("EachRow", [x, row], "logits"), len(columns))


@dataclass(frozen=True, kw_only=True)
class Depth(Gate):
    """Stochastic depth: nothing is seen, and nothing learned.

    The l-th of L choices is open with the probability 1 - l / L (1 - last), and then counts for
    more in training, so that its mean is that of one which is always open.

    Attributes:
        last: the probability of the last choice.
    """

    sampled: ClassVar[bool] = False
    last: float = 0.5

    def odds(self, place: Place, x: ir.Value, columns: range, of: int) -> ir.Value:
        """See the base class."""
        closed = np.clip((np.array(columns) + 1) / of * (1 - self.last), LEAST, 1 - LEAST)
        row = place.weight("odds.weight", (np.log1p(-closed) - np.log(closed))[None])
        return place.put("EachRow", [x, place.put("StopGradient", [row], "fixed")], "odds")


PLAIN = Dependent()


def _difference(place: Place, logits: ir.Value, choices: int) -> ir.Value:
    """Logits of open, behind those of closed, minus the latter."""
    closed, opened = (
        place.put(
            "Gather", [logits, place.weight(f"{name}.columns", columns, np.int64)], name, axis=1
        )
        for name, columns in (
            ("closed", np.arange(choices)),
            ("opened", np.arange(choices, 2 * choices)),
        )
    )
    return place.put("Sub", [opened, closed], "odds")
