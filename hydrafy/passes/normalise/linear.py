"""Writes fully connected layers as Gemm with a weight [outputs, inputs] and one bias."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass
from hydrafy.passes.normalise.edit import only_reader, set_constant
from hydrafy.passes.normalise.replace import drop, swap


@dataclass(frozen=True)
class LinearLayers(Pass):
    """A MatMul or Gemm of [N, inputs] by a constant becomes `Gemm(transB=1)` without factors.

    Constants that are added behind it go into its bias.
    """

    name: ClassVar[str] = "linear-layers"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, notes = program.graph, []
        for node in list(graph):
            rows = _rows(node)
            if rows is None:
                continue
            biases, adds = _biases(node, len(rows))
            if biases is None or (_is_plain(node) and not adds):
                continue
            if rows is not constant(node.inputs[1]):
                set_constant(graph, node, 1, rows)
            if biases:
                set_constant(graph, node, 2, np.sum(biases, axis=0, dtype=rows.dtype))
            layer = swap(node, "Gemm", list(node.inputs), transB=1)
            for add in adds:
                drop(add, layer.outputs[0])
            notes.append(f"{node.op_type} {node.name!r} and {len(adds)} Adds became one Gemm")
        return notes


def _rows(node: ir.Node) -> np.ndarray | None:
    """The weight of a fully connected layer on [N, inputs], as [outputs, inputs]."""
    weight = constant(node.inputs[1]) if node.op_type in ("Gemm", "MatMul") else None
    source = node.inputs[0] if node.inputs else None
    if weight is None or weight.ndim != 2 or node.domain != "" or source is None:
        return None
    if len(source.shape or ()) != 2 or node.attributes.get_int("transA", 0) == 1:
        return None
    alpha = node.attributes.get_float("alpha", 1.0)
    rows = weight if node.attributes.get_int("transB", 0) == 1 else weight.T
    return rows if alpha == 1 else rows * weight.dtype.type(alpha)


def _biases(node: ir.Node, outputs: int) -> tuple[list[np.ndarray] | None, list[ir.Node]]:
    """What a layer adds, and the Adds behind it that add more; None where that is not constant."""
    found, adds = [], []
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        own = _bias(node.inputs[2], outputs)
        if own is None:
            return None, []
        found.append(own * own.dtype.type(node.attributes.get_float("beta", 1.0)))
    result = node.outputs[0]
    while (add := only_reader(result)) is not None and add.op_type == "Add":
        more = _bias(add.inputs[1] if add.inputs[0] is result else add.inputs[0], outputs)
        if more is None:
            break
        found.append(more)
        adds.append(add)
        result = add.outputs[0]
    return found, adds


def _bias(value: ir.Value | None, outputs: int) -> np.ndarray | None:
    """A constant that is the same for each row of [N, outputs], as [outputs]."""
    array = constant(value)
    if array is None or array.ndim > 2 or array.size not in (1, outputs):
        return None
    if array.ndim == 2 and len(array) != 1:
        return None
    return np.broadcast_to(array.reshape(-1), (outputs,))


def _is_plain(node: ir.Node) -> bool:
    factors = [node.attributes.get_float(name, 1.0) for name in ("alpha", "beta")]
    bias = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    shaped = bias is None or list(bias.shape) == list(node.outputs[0].shape or ())[1:]
    return node.attributes.get_int("transB", 0) == 1 and factors == [1.0, 1.0] and shaped
