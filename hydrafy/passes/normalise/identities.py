"""Removes what computes nothing at inference: Identity, Dropout, full Slices, idle biases."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass

FAR = 2**31 - 1  # how exporters write "to the end" of a dimension that is open


@dataclass(frozen=True)
class RemoveIdentities(Pass):
    """What computes nothing gives way to its input; unused nodes and weights go.

    That is Identity, Dropout, and a Slice that takes everything: the dynamo exporter writes one
    along the batch for each `x[:, :, ::2, ::2]`. It also writes a bias of zeros for a convolution
    without one, which goes where a BatchNormalization follows.
    """

    name: ClassVar[str] = "remove-identities"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph = program.graph
        before, biases = len(graph), 0
        for node in list(graph):
            if _is_idle_bias(node):
                node.resize_inputs(2)
                biases += 1
                continue
            if node.domain != "" or not _passes_on(node):
                continue
            source = node.inputs[0]
            if source is None or node.outputs[0].is_graph_output() or _mask_is_used(node):
                continue
            node.outputs[0].replace_all_uses_with(source)
            graph.remove(node, safe=True)
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        gone = before - len(graph)
        notes = [f"{gone} nodes that compute nothing went"] if gone else []
        return [*notes, f"{biases} biases of zeros went"] if biases else notes


def _passes_on(node: ir.Node) -> bool:
    return node.op_type in ("Identity", "Dropout") or _takes_everything(node)


def _takes_everything(node: ir.Node) -> bool:
    source = node.inputs[0] if node.op_type == "Slice" else None
    arrays = [constant(v) for v in node.inputs[1:]]
    if source is None or source.shape is None or any(a is None for a in arrays):
        return False
    starts, ends, *rest = (np.asarray(a) for a in arrays)
    axes = rest[0] if rest else np.arange(len(starts))
    steps = rest[1] if len(rest) > 1 else np.ones_like(starts)
    sizes = [d if isinstance(d, int) else FAR for d in source.shape]
    return all(
        start == 0 and step == 1 and end >= sizes[axis]
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True)
    )


def _is_idle_bias(node: ir.Node) -> bool:
    if node.op_type != "Conv" or len(node.inputs) < 3:
        return False
    bias, readers = constant(node.inputs[2]), node.outputs[0].consumers()
    normalised = [user.op_type for user in readers] == ["BatchNormalization"]
    return bias is not None and not bias.any() and normalised


def _mask_is_used(node: ir.Node) -> bool:
    return any(v.uses() or v.is_graph_output() for v in node.outputs[1:])
