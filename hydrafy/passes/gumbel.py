"""Probabilistic gates: networks that say of each sample how likely it is to need something.

Source: Deep networks with probabilistic gates (2018), Section 4.1.1, with gates of ConvNet-AIG.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.layers import channels
from hydrafy.ir.values import dims
from hydrafy.passes import fresh
from hydrafy.passes.fresh import Place

LEAST = 1e-6  # probability of what stochastic depth hardly ever does: log-odds stay finite
POOL = 4  # places, across and down, of which a convolutional gate takes the mean

Kind = Literal["dependent", "independent", "depth", "convolutional"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Gate:
    """What gates are like.

    A dependent gate sees an image tensor: global average pooling, a linear layer of `hidden` units,
    BatchNormalization, Relu, and a linear layer of two logits for each choice. An independent one
    has two logits for each choice, and sees nothing. The logits' difference is the log-odds of
    being open. Those of stochastic depth learn nothing either: the l-th of L choices is open with
    the probability 1 - l / L (1 - last), and then counts for more, so that its mean is that of one
    which is always open.

    A convolutional gate, that of the paper's early exits (S2.4), has two 3x3 convolutions of
    `hidden` filters, each with BatchNormalization and Relu (which the paper does not mention), an
    average over squares of 4x4 places, or over all where there are fewer, and the last layer.

    Attributes:
        kind: `dependent`, `independent`, `depth` or `convolutional`.
        hidden: units of the hidden layer, or filters of each convolution.
        spread: standard deviation of the last layer's weights: how much a fresh gate minds what it
            sees.
        bias: of a fresh gate's two logits, closed and open.
        temperature: of the Gumbel softmax in training, in the first epoch.
        cooled: the same in the last epoch.
        last: the probability of the last choice, for `depth`.
    """

    kind: Kind = "dependent"
    hidden: int = 16
    spread: float = 1.0
    bias: tuple[float, float] = (0.0, 0.0)
    temperature: float = 1.0
    cooled: float = 1.0
    last: float = 0.5


PLAIN = Gate()


def decide(place: Place, x: ir.Value, gate: Gate, bound: ir.Value, columns: range) -> ir.Value:
    """The decision bool [N, choices] of a new gate.

    Args:
        place: where it stands.
        x: what it sees, an image tensor [N, C, H, W].
        gate: what it is like.
        bound: on the log-odds of all gates, [rows, columns].
        columns: which of them it decides about.
    """
    make = MAKERS[gate.kind]
    odds = make(place, x, gate, columns, channels(bound))
    order = place.weight("columns", np.array(columns), np.int64)
    own = place.put("Gather", [bound, order], "bound", axis=1)
    attributes = {"temperature": gate.temperature, "cooled": gate.cooled}
    depth = {"inverted": 1} if gate.kind == "depth" else {}
    return place.put("GumbelGate", [odds, own], "open", **attributes, **depth)


def _dependent(place: Place, x: ir.Value, gate: Gate, columns: range, of: int) -> ir.Value:
    """Log-odds [N, choices] from an image tensor."""
    scale = 1 / np.sqrt(channels(x))
    pooled = fresh.averaged(place, x)
    hidden = fresh.linear(place, pooled, "hidden", scale, np.zeros(gate.hidden))
    return _logits(place, fresh.normed(place, hidden), gate, columns)


def _convolutional(place: Place, x: ir.Value, gate: Gate, columns: range, of: int) -> ir.Value:
    """Log-odds [N, choices] from an image tensor, of which some of the places are kept."""
    for end in (".0", ".1"):
        x = fresh.convolved(place, x, end, gate.hidden)
    if min(dims(x)[1:]) < POOL:
        return _logits(place, fresh.averaged(place, x), gate, columns)
    square = [POOL, POOL]
    pooled = place.put("AveragePool", [x], "pool", kernel_shape=square, strides=square)
    return _logits(place, place.put("Flatten", [pooled], "flat"), gate, columns)


def _independent(place: Place, x: ir.Value, gate: Gate, columns: range, of: int) -> ir.Value:
    """Log-odds [N, choices], the same for each image, learned."""
    row = place.weight("logits.weight", np.repeat(gate.bias, len(columns))[None])
    return _odds(place, place.put("EachRow", [x, row], "logits"), len(columns))


def _depth(place: Place, x: ir.Value, gate: Gate, columns: range, of: int) -> ir.Value:
    """Log-odds [N, choices], the same for each image, fixed by how deep a choice lies."""
    closed = np.clip((np.array(columns) + 1) / of * (1 - gate.last), LEAST, 1 - LEAST)
    row = place.weight("odds.weight", (np.log1p(-closed) - np.log(closed))[None])
    return place.put("EachRow", [x, place.put("StopGradient", [row], "fixed")], "odds")


def _logits(place: Place, seen: ir.Value, gate: Gate, columns: range) -> ir.Value:
    """Log-odds [N, choices] from what a gate has seen, [N, features]."""
    bias = np.repeat(gate.bias, len(columns))
    return _odds(place, fresh.linear(place, seen, "logits", gate.spread, bias), len(columns))


def _odds(place: Place, logits: ir.Value, choices: int) -> ir.Value:
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


MAKERS = {
    "dependent": _dependent,
    "independent": _independent,
    "depth": _depth,
    "convolutional": _convolutional,
}
