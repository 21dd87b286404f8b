"""Cost: multiply-accumulates, parameters and bytes of nodes and programs, for one image."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from hydrafy.ir.program import Program
from hydrafy.ir.values import constant


@dataclass(frozen=True)
class Cost:
    """What a network costs: MACs for one image (FLOPs = 2 x MACs), parameters, bytes of weights."""

    macs: int
    parameters: int
    bytes: int


def macs(node: ir.Node) -> int:
    """Multiply-accumulates of one node for one image; only Conv, Gemm and MatMul have any.

    Biases, normalisation, activations and pooling count nothing, as in the papers' tables.
    """
    if node.op_type not in ("Conv", "Gemm", "MatMul") or node.domain != "":
        return 0
    weight, out = node.inputs[1], node.outputs[0].shape
    if weight is None or weight.shape is None or out is None:
        return 0
    positions = math.prod(d for d in list(out)[1:] if isinstance(d, int))
    shape = [d for d in weight.shape if isinstance(d, int)]
    if len(shape) < 2:
        return 0
    if node.op_type == "Conv":
        return positions * math.prod(shape[1:])
    inner = shape[-2]
    if (
        node.op_type == "Gemm"
        and "transB" in node.attributes
        and node.attributes["transB"].as_int()
    ):
        inner = shape[-1]
    return positions * inner


def weights(nodes: Iterable[ir.Node]) -> dict[ir.Value, None]:
    """The floating-point constants that the nodes read: their parameters and BN statistics."""
    return {
        v: None
        for node in nodes
        for v in node.inputs
        if v is not None and v.is_initializer() and v.dtype in _FLOATS and constant(v) is not None
    }


def parameters(nodes: Iterable[ir.Node]) -> int:
    """Trainable numbers of the nodes; the running statistics of a BatchNormalization are none."""
    nodes = list(nodes)
    statistics = {
        v for n in nodes if n.op_type == "BatchNormalization" for v in n.inputs[3:] if v is not None
    }
    layers = [n for n in nodes if n.op_type in _TRAINABLE]
    return sum(_size(v) for v in weights(layers) if v not in statistics)


def cost(program: Program) -> Cost:
    """The cost of everything in a program: what is stored, and what runs if nothing is skipped."""
    nodes = list(program.graph.all_nodes())
    return Cost(sum(map(macs, nodes)), parameters(nodes), program.weight_bytes())


def expected_macs(shares: Mapping[ir.Node, float]) -> int:
    """MACs for one image when each node runs in the given share of all cases."""
    return round(sum(macs(node) * share for node, share in shares.items()))


def _size(value: ir.Value) -> int:
    return value.const_value.size if value.const_value is not None else 0


_FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE, ir.DataType.BFLOAT16)
_TRAINABLE = ("Conv", "Gemm", "MatMul", "BatchNormalization", "Add", "Mul")
