"""Folds each BatchNormalization into the convolution or linear layer before it."""

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
    """Scales the filters of a Conv or Gemm that only a BatchNormalization reads, and drops that."""

    name: ClassVar[str] = "fold-batchnorm"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, folded = program.graph, 0
        for node in list(graph):
            conv = node.inputs[0].producer() if node.inputs and node.inputs[0] else None
            if node.op_type != "BatchNormalization" or conv is None or not has_filters(conv):
                continue
            weight = conv.inputs[1]
            weights = (v for v in conv.inputs[1:] if v is not None)
            arrays = [constant(v) for v in (*weights, *node.inputs[1:])]
            alone = len(conv.outputs[0].uses()) == 1 and not conv.outputs[0].is_graph_output()
            if not alone or weight is None or any(a is None for a in arrays):
                continue
            _fold(graph, conv, node)
            folded += 1
        return [f"{folded} BatchNormalizations went into their convolutions"] if folded else []


def has_filters(node: ir.Node) -> bool:
    """Whether a node is a Conv, or a Gemm of which each row of weights makes one output."""
    plain = all(node.attributes.get_float(name, 1.0) == 1 for name in ("alpha", "beta"))
    turned = node.attributes.get_int("transB", 0) and not node.attributes.get_int("transA", 0)
    return node.op_type == "Conv" or (node.op_type == "Gemm" and bool(turned) and plain)


def _fold(graph: ir.Graph, conv: ir.Node, norm: ir.Node) -> None:
    kernel, scale, shift, mean, variance = (
        np.asarray(constant(v), np.float64) for v in (conv.inputs[1], *norm.inputs[1:])
    )
    epsilon = norm.attributes["epsilon"].as_float() if "epsilon" in norm.attributes else 1e-5
    factor = scale / np.sqrt(variance + epsilon)
    bias = constant(conv.inputs[2]) if len(conv.inputs) > 2 else None
    bias = np.zeros_like(mean) if bias is None else bias
    name = conv.name or ""
    new_kernel = kernel * factor.reshape(-1, *[1] * (kernel.ndim - 1))
    folded = [
        build.weight(graph, f"{name}.folded.weight", new_kernel.astype(np.float32)),
        build.weight(graph, f"{name}.folded.bias", (shift + (bias - mean) * factor).astype("f")),
    ]
    twin = ir.Node(
        "", conv.op_type, [conv.inputs[0], *folded], conv.attributes.values(), name=f"{name}.folded"
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
