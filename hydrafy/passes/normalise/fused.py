"""Takes apart the nodes that onnxruntime fuses when it writes an optimised file."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass
from hydrafy.passes.normalise.replace import plain, replace

DOMAIN = "com.microsoft"
LAYERS = {"FusedConv": "Conv", "FusedGemm": "Gemm"}
PARAMETERS = {"LeakyRelu": ("alpha",), "HardSigmoid": ("alpha", "beta")}
"""What the numbers in `activation_params` mean; those of a Clip are its bounds."""


@dataclass(frozen=True)
class SplitFused(Pass):
    """FusedConv and FusedGemm become the layer, the sum if there is one, and the activation.

    QuickGelu becomes the `x * Sigmoid(alpha * x)` that it was made of.
    """

    name: ClassVar[str] = "split-fused"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, count = program.graph, 0
        for node in [n for n in graph if n.domain == DOMAIN]:
            if node.op_type in LAYERS:
                replace(node, _layer(graph, node))
            elif node.op_type == "QuickGelu":
                replace(node, _gated(graph, node))
            else:
                continue
            count += 1
        return [f"{count} nodes that onnxruntime had fused were taken apart"] if count else []


def _layer(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    out = node.outputs[0].name
    layer = plain(LAYERS[node.op_type], node.inputs[:3], f"{out}.layer")
    layer.name = node.name
    for attribute in node.attributes.values():
        if not attribute.name.startswith("activation"):
            layer.attributes[attribute.name] = attribute
    nodes = [layer]
    if len(node.inputs) > 3:
        nodes.append(plain("Add", [layer.outputs[0], node.inputs[3]], f"{out}.sum"))
    kind = node.attributes.get_string("activation", "")
    if kind:
        numbers = [float(v) for v in node.attributes.get_floats("activation_params", ())]
        nodes.append(_activation(graph, kind, numbers, nodes[-1].outputs[0], f"{out}.activated"))
    return nodes


def _activation(
    graph: ir.Graph, kind: str, numbers: list[float], x: ir.Value, name: str
) -> ir.Node:
    if kind == "Clip":
        ends = zip(("low", "high"), numbers, strict=True)
        bounds = [build.weight(graph, f"{name}.{end}", np.array(n, np.float32)) for end, n in ends]
        return plain(kind, [x, *bounds], name)
    return plain(kind, [x], name, **dict(zip(PARAMETERS.get(kind, ()), numbers, strict=False)))


def _gated(graph: ir.Graph, node: ir.Node) -> list[ir.Node]:
    x, out = node.inputs[0], node.outputs[0].name
    alpha = node.attributes.get_float("alpha", 1.702)
    factor = build.weight(graph, f"{out}.alpha", np.array(alpha, np.float32))
    scaled = plain("Mul", [x, factor], f"{out}.scaled")
    gate = plain("Sigmoid", [x if alpha == 1 else scaled.outputs[0]], f"{out}.gate")
    product = plain("Mul", [x, gate.outputs[0]], f"{out}.product")
    return [gate, product] if alpha == 1 else [scaled, gate, product]
