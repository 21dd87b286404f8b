"""Probabilistic gates: networks that say of each sample how likely it is to need something.

Source: Deep networks with probabilistic gates (2018), Section 4.1.1, with gates of ConvNet-AIG.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.layers import channels
from hydrafy.ir import build, ops
from hydrafy.ir.manifest import RuntimeInput
from hydrafy.ir.program import Program
from hydrafy.passes.lower.regions import Inserter
from hydrafy.passes.settings import setting

TAU = "tau"

Kind = Literal["dependent", "independent", "depth"]
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

    Attributes:
        kind: `dependent`, `independent` or `depth`.
        hidden: units of the hidden layer.
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


@dataclass(frozen=True, eq=False)
class Place:
    """Where a gate is built: its nodes stand before one of a graph, their names begin with `path`.

    `rng` draws the weights.
    """

    graph: ir.Graph
    before: ir.Node
    path: str
    rng: np.random.Generator

    def put(self, kind: str, inputs: list[ir.Value | None], name: str, **kwargs: Any) -> ir.Value:
        """The result of a new node."""
        domain = ops.DOMAIN if kind in ops.names() else ""
        node = build.op(kind, inputs, f"{self.path}.{name}", domain=domain, **kwargs)
        self.graph.insert_before(self.before, node)
        return node.outputs[0]

    def weight(self, name: str, array: object, kind: Any = np.float32) -> ir.Value:
        """A new initializer."""
        return build.weight(self.graph, f"{self.path}.{name}", np.asarray(array, kind))


def thresholds(
    program: Program, default: float, columns: int, meaning: str, *, noise: bool = True
) -> ir.Value:
    """The run-time input `tau`, a probability for each choice, as log-odds [rows, columns].

    Its default is [1, columns]; it may be fed with whatever broadcasts to [N, columns]. Log-odds
    of 0 and less are minus infinity, those of 1 and more infinity. Where noise in its place does
    not do what training does, `noise` is not set.
    """
    graph = program.graph
    first = graph[0]
    entry = RuntimeInput(TAU, 0.0, 1.0, 0.0, meaning, noise)
    tau = setting(program, entry, np.full((1, columns), default, np.float32), "bypass")
    to = Inserter(graph, first, "thresholds")
    low, high = (to.const(name, np.float32(v)) for name, v in (("low", 0), ("high", 1)))
    share = to.op("Clip", [tau, low, high], "share")
    odds = [
        to.op("Log", [share], "log"),
        to.op("Log", [to.op("Sub", [high, share], "rest")], "rest.log"),
    ]
    bound = to.op("Sub", odds, "odds")
    whole = to.const("columns", np.zeros((1, columns), np.int64))  # floats would be trained
    each = to.op("Cast", [whole], "columns.zero", to=int(ir.DataType.FLOAT))
    wide = to.op("Add", [bound, each], "odds.each")
    wide.shape = ir.Shape(["thresholds", columns])  # inference does not know, of one column
    return wide


def decide(place: Place, x: ir.Value, gate: Gate, bound: ir.Value, columns: range) -> ir.Value:
    """The decision bool [N, choices] of a new gate.

    Args:
        place: where it stands.
        x: what it sees, an image tensor [N, C, H, W].
        gate: what it is like.
        bound: on the log-odds of all gates, [rows, columns].
        columns: which of them it decides about.
    """
    make = {"dependent": _dependent, "independent": _independent, "depth": _depth}[gate.kind]
    odds = make(place, x, gate, columns, channels(bound))
    order = place.weight("columns", np.array(columns), np.int64)
    own = place.put("Gather", [bound, order], "bound", axis=1)
    attributes = {"temperature": gate.temperature, "cooled": gate.cooled}
    depth = {"inverted": 1} if gate.kind == "depth" else {}
    return place.put("GumbelGate", [odds, own], "open", **attributes, **depth)


def _dependent(place: Place, x: ir.Value, gate: Gate, columns: range, of: int) -> ir.Value:
    """Log-odds [N, choices] from an image tensor."""
    pooled = place.put("Flatten", [place.put("GlobalAveragePool", [x], "pool")], "flat")
    scale = 1 / np.sqrt(channels(x))
    hidden = _linear(place, pooled, "hidden", scale, np.zeros(gate.hidden))
    one, zero = np.ones(gate.hidden), np.zeros(gate.hidden)
    moments = {"weight": one, "bias": zero, "running_mean": zero, "running_var": one}
    norm = [place.weight(f"norm.{name}", array) for name, array in moments.items()]
    seen = place.put("Relu", [place.put("BatchNormalization", [hidden, *norm], "norm")], "relu")
    bias = np.repeat(gate.bias, len(columns))
    return _odds(place, _linear(place, seen, "logits", gate.spread, bias), len(columns))


def _independent(place: Place, x: ir.Value, gate: Gate, columns: range, of: int) -> ir.Value:
    """Log-odds [N, choices], the same for each image, learned."""
    row = place.weight("logits.weight", np.repeat(gate.bias, len(columns))[None])
    return _odds(place, place.put("EachRow", [x, row], "logits"), len(columns))


def _depth(place: Place, x: ir.Value, gate: Gate, columns: range, of: int) -> ir.Value:
    """Log-odds [N, choices], the same for each image, fixed by how deep a choice lies."""
    closed = (np.array(columns) + 1) / of * (1 - gate.last)
    with np.errstate(divide="ignore"):  # what is never closed has infinite log-odds
        row = place.weight("odds.weight", (np.log1p(-closed) - np.log(closed))[None])
    return place.put("EachRow", [x, place.put("StopGradient", [row], "fixed")], "odds")


def _linear(place: Place, x: ir.Value, name: str, scale: float, bias: np.ndarray) -> ir.Value:
    rows = place.rng.standard_normal((len(bias), channels(x))) * scale
    weights = [place.weight(f"{name}.weight", rows), place.weight(f"{name}.bias", bias)]
    return place.put("Gemm", [x, *weights], name, transB=1)


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
