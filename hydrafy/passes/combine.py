"""Inserts the combiner between the branches' sum and the head."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.analysis.layers import channels
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass

EPSILON = 1e-5

Kind = Literal["separable", "dense", "mean"]


@dataclass(frozen=True)
class Combine(Pass):
    """A 3x3 convolution over the sum takes the tail's place before the head; the old tail goes.

    It starts as a Dirac kernel divided by `count` with a neutral BatchNormalization, so that
    `count` equal branches reproduce their source; a ReLU follows where the source's features came
    from one. (HydraNets, Figure 2b: separable; DynK, Section 4: a convolution.)

    Args:
        total: the sum of the branches, [N, C, H, W].
        features: the cut that it replaces.
        count: how many branches the sum is made for (k).
        kind: `separable` (depthwise 3x3, pointwise 1x1), `dense`, or `mean`: no convolution, the
            sum over `count`.
    """

    name: ClassVar[str] = "combine"
    total: str
    features: str
    count: int
    kind: Kind

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph = program.graph
        values = program.values()
        features, size = values[self.features], channels(values[self.features])
        combined = values[self.total]
        dirac = np.zeros((size, 1, 3, 3), np.float32)
        dirac[:, 0, 1, 1] = 1 / self.count
        if self.kind == "mean":
            scale = build.weight(graph, "combiner.scale", np.array(1 / self.count, np.float32))
            mean = build.op("Mul", [combined, scale], "combiner.mean")
            graph.append(mean)
            combined = mean.outputs[0]
        elif self.kind == "separable":
            combined = _conv(graph, combined, dirac, "depthwise", group=size, pads=[1, 1, 1, 1])
            identity = np.eye(size, dtype=np.float32)[:, :, None, None]
            combined = _conv(graph, combined, identity, "pointwise")
        else:
            dense = np.zeros((size, size, 3, 3), np.float32)
            dense[np.arange(size), np.arange(size)] = dirac[:, 0]
            combined = _conv(graph, combined, dense, "conv", pads=[1, 1, 1, 1])
        if self.kind != "mean":
            combined = _settled(graph, combined, size, features.producer())
        features.replace_all_uses_with(combined)
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        graph.sort()
        return [f"a {self.kind} combiner took the place of {self.features!r}"]


def _conv(
    graph: ir.Graph, x: ir.Value, kernel: np.ndarray, name: str, **attributes: Any
) -> ir.Value:
    weight = build.weight(graph, f"combiner.{name}.weight", kernel)
    shape = list(kernel.shape[2:])
    node = build.op("Conv", [x, weight], f"combiner.{name}", kernel_shape=shape, **attributes)
    graph.append(node)
    return node.outputs[0]


def _settled(graph: ir.Graph, x: ir.Value, size: int, source: ir.Node | None) -> ir.Value:
    """A neutral BatchNormalization, and a ReLU if the source's features come from one."""
    ones, zeros = np.ones(size, np.float32), np.zeros(size, np.float32)
    starts = {"weight": ones, "bias": zeros, "running_mean": zeros, "running_var": ones - EPSILON}
    weights = [build.weight(graph, f"combiner.bn.{slot}", a) for slot, a in starts.items()]
    node = build.op("BatchNormalization", [x, *weights], "combiner.bn", epsilon=EPSILON)
    graph.append(node)
    if source is None or source.op_type != "Relu":
        return node.outputs[0]
    relu = build.op("Relu", [node.outputs[0]], "combiner.relu")
    graph.append(relu)
    return relu.outputs[0]
