"""Folds each BatchNormalization into the convolution before it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class FoldBatchNorm(Pass):
    """Scales the filters of a Conv whose only reader is a BatchNormalization, and drops that."""

    name: ClassVar[str] = "fold-batchnorm"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, folded = program.graph, 0
        for node in list(graph):
            conv = node.inputs[0].producer() if node.inputs and node.inputs[0] else None
            if node.op_type != "BatchNormalization" or conv is None or conv.op_type != "Conv":
                continue
            weight = conv.inputs[1]
            arrays = [constant(v) for v in (weight, *node.inputs[1:])]
            alone = len(conv.outputs[0].uses()) == 1 and not conv.outputs[0].is_graph_output()
            if not alone or weight is None or any(a is None for a in arrays):
                continue
            _fold(graph, conv, node)
            folded += 1
        return [f"{folded} BatchNormalizations went into their convolutions"] if folded else []


def _fold(graph: ir.Graph, conv: ir.Node, norm: ir.Node) -> None:
    kernel, scale, shift, mean, variance = (
        np.asarray(constant(v), np.float64) for v in (conv.inputs[1], *norm.inputs[1:])
    )
    epsilon = norm.attributes["epsilon"].as_float() if "epsilon" in norm.attributes else 1e-5
    factor = scale / np.sqrt(variance + epsilon)
    bias = constant(conv.inputs[2]) if len(conv.inputs) > 2 else None
    bias = np.zeros_like(mean) if bias is None else bias
    name = conv.name or ""
    new_kernel = kernel * factor[:, None, None, None]
    folded = [
        build.weight(graph, f"{name}.folded.weight", new_kernel.astype(np.float32)),
        build.weight(graph, f"{name}.folded.bias", (shift + (bias - mean) * factor).astype("f")),
    ]
    twin = ir.Node(
        "", "Conv", [conv.inputs[0], *folded], conv.attributes.values(), name=f"{name}.folded"
    )
    old = norm.outputs[0]
    twin.outputs[0].shape, twin.outputs[0].type = old.shape, old.type
    result, old.name = old.name, f"{old.name}.unfolded"
    twin.outputs[0].name = result
    graph.insert_after(norm, twin)
    old.replace_all_uses_with(twin.outputs[0], replace_graph_outputs=True)
    weights = [v for v in (*conv.inputs[1:], *norm.inputs[1:]) if v is not None]
    graph.remove([norm, conv], safe=True)
    for value in weights:
        if not value.uses():
            graph.initializers.pop(value.name or "", None)
