"""Cost: multiply-accumulates, parameters and bytes of nodes, parts and programs, for one image."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from hydrafy.errors import ModelError
from hydrafy.ir.program import Program
from hydrafy.ir.titles import title
from hydrafy.ir.values import is_constant

MACS = "hydrafy.macs"
"""Metadata of a kernel of onnxruntime's own: what it computes for one image."""


@dataclass(frozen=True)
class Cost:
    """What a network, or a part of one, costs.

    Attributes:
        macs: for one image; FLOPs are twice as many.
        parameters: trainable numbers.
        bytes: of the weights.
        activations: bytes of all results that are computed for one image.
    """

    macs: int
    parameters: int
    bytes: int
    activations: int


def macs(node: ir.Node) -> int:
    """Multiply-accumulates of one node for one image; only Conv, Gemm and MatMul have any.

    Biases, normalisation, activations and pooling count nothing, as in the papers' tables. Between
    quantised values they count as in float32; kernels of onnxruntime's own as lowering noted.

    Raises:
        ModelError: what is noted there is no number.
    """
    if MACS in node.metadata_props:
        return _noted(node)
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


def _noted(node: ir.Node) -> int:
    text = node.metadata_props[MACS]
    if not text.isdecimal():
        raise ModelError(f"{title(node)} has the MACs {text[:40]!r}: lower the network again")
    return int(text)


def weights(nodes: Iterable[ir.Node]) -> dict[ir.Value, None]:
    """The floating-point constants that the nodes read: their parameters and BN statistics."""
    return {
        v: None
        for node in nodes
        for v in node.inputs
        if v is not None and v.is_initializer() and v.dtype in _FLOATS and is_constant(v)
    }


def parameters(nodes: Iterable[ir.Node]) -> int:
    """Trainable numbers of the nodes; the running statistics of a BatchNormalization are none."""
    nodes = list(nodes)
    statistics = {
        v for n in nodes if n.op_type == "BatchNormalization" for v in n.inputs[3:] if v is not None
    }
    layers = [n for n in nodes if n.op_type in _TRAINABLE]
    return sum(_size(v) for v in weights(layers) if v not in statistics)


def activations(node: ir.Node) -> int:
    """Bytes of what a node computes for one image; open dimensions count 1."""
    return sum(
        math.prod(d for d in v.shape if isinstance(d, int)) * v.dtype.bitwidth // 8
        for v in node.outputs
        if v.shape is not None and v.dtype not in (None, ir.DataType.UNDEFINED)
    )


def cost_of(nodes: Iterable[ir.Node]) -> Cost:
    """The cost of some nodes; a weight that several of them read counts once."""
    nodes = list(nodes)
    return Cost(
        sum(map(macs, nodes)),
        parameters(nodes),
        sum(_bytes(v) for v in weights(nodes)),
        sum(map(activations, nodes)),
    )


def cost(program: Program) -> Cost:
    """The cost of everything in a program: what is stored, and what runs if nothing is skipped."""
    whole = cost_of(program.graph.all_nodes())
    return dataclasses.replace(whole, bytes=program.weight_bytes())


def expected(shares: Mapping[ir.Node, float]) -> Cost:
    """The mean cost for one image when each node runs in the given share of all cases."""
    each = [(cost_of([node]), share) for node, share in shares.items()]
    return Cost(
        round(sum(c.macs * share for c, share in each)),
        round(sum(c.parameters * share for c, share in each)),
        round(sum(c.bytes * share for c, share in each)),
        round(sum(c.activations * share for c, share in each)),
    )


def _bytes(value: ir.Value) -> int:
    return value.const_value.nbytes if value.const_value is not None else 0


def _size(value: ir.Value) -> int:
    return value.const_value.size if value.const_value is not None else 0


_FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE, ir.DataType.BFLOAT16)
_TRAINABLE = ("Conv", "Gemm", "MatMul", "BatchNormalization", "Add", "Mul")
