"""Fresh layers: nodes with weights drawn by chance, built at one place of a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.layers import channels
from hydrafy.ir import build, ops


@dataclass(frozen=True, eq=False)
class Place:
    """Where layers are built: nodes stand before one of a graph, their names begin with `path`.

    Where there is none to stand before, they stand at its end. `rng` draws the weights. A name that
    is taken gets a number: a pruned network keeps layers that an earlier conversion gave it.
    """

    graph: ir.Graph
    before: ir.Node | None
    path: str
    rng: np.random.Generator

    def put(self, kind: str, inputs: list[ir.Value | None], name: str, **kwargs: Any) -> ir.Value:
        """The result of a new node."""
        domain = ops.DOMAIN if kind in ops.names() else ""
        title = build.free(self.graph, f"{self.path}.{name}")
        node = build.op(kind, inputs, title, domain=domain, **kwargs)
        if self.before is None:
            self.graph.append(node)
        else:
            self.graph.insert_before(self.before, node)
        return node.outputs[0]

    def weight(self, name: str, array: object, kind: Any = np.float32) -> ir.Value:
        """A new initializer."""
        title = build.free(self.graph, f"{self.path}.{name}")
        return build.weight(self.graph, title, np.asarray(array, kind))


def behind(graph: ir.Graph, value: ir.Value) -> ir.Node | None:
    """The node that stands behind the one which computes a value; None at the end of the graph."""
    nodes, producer = iter(graph), value.producer()
    next(node for node in nodes if node is producer)
    return next(nodes, None)


def linear(place: Place, x: ir.Value, name: str, scale: float, bias: np.ndarray) -> ir.Value:
    """A fully connected layer of x [N, C] with a unit for each bias: [N, units].

    Its weights have a standard deviation of `scale`.
    """
    rows = place.rng.standard_normal((len(bias), channels(x))) * scale
    weights = [place.weight(f"{name}.weight", rows), place.weight(f"{name}.bias", bias)]
    return place.put("Gemm", [x, *weights], name, transB=1)


def normed(place: Place, x: ir.Value, end: str = "") -> ir.Value:
    """BatchNormalization, still without effect in eval mode, and Relu; `end` ends their names."""
    one, zero = np.ones(channels(x)), np.zeros(channels(x))
    moments = {"weight": one, "bias": zero, "running_mean": zero, "running_var": one}
    norm = [place.weight(f"norm{end}.{name}", array) for name, array in moments.items()]
    return place.put(
        "Relu", [place.put("BatchNormalization", [x, *norm], f"norm{end}")], f"relu{end}"
    )


def convolved(place: Place, x: ir.Value, end: str, filters: int, stride: int = 1) -> ir.Value:
    """A 3x3 convolution of x [N, C, H, W], padded by 1, BatchNormalization and Relu.

    Weights are drawn as by He et al. (2015), so that signals keep their scale.
    """
    inputs = channels(x)
    kernel = place.rng.standard_normal((filters, inputs, 3, 3)) * np.sqrt(2 / (9 * inputs))
    seen = place.put(
        "Conv",
        [x, place.weight(f"conv{end}.weight", kernel)],
        f"conv{end}",
        kernel_shape=[3, 3],
        strides=[stride] * 2,
        pads=[1] * 4,
    )
    return normed(place, seen, end)


def averaged(place: Place, x: ir.Value) -> ir.Value:
    """Global average pooling of x [N, C, H, W]: [N, C]."""
    return place.put("Flatten", [place.put("GlobalAveragePool", [x], "pool")], "flat")
