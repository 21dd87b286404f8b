"""Rows: whether a node treats each sample of a batch by itself."""

import math

import numpy as np
import onnx_ir as ir

from hydrafy.ir import ops
from hydrafy.ir.values import constant

_ROW_WISE = frozenset({
    "AveragePool", "BatchNormalization", "Cast", "Celu", "Clip", "Conv", "Elu", "Erf",
    "GlobalAveragePool", "GlobalMaxPool", "HardSigmoid", "HardSwish", "Identity",
    "InstanceNormalization", "LRN", "LeakyRelu", "MaxPool", "Mish", "Relu", "Selu", "Sigmoid",
    "Softplus", "Sqrt", "Tanh",
})  # fmt: skip
_BROADCAST = frozenset({"Add", "Div", "Mul", "PRelu", "Pow", "Sub", "Sum"})
_AXES = {
    "Pad": 1, "ReduceMax": 1, "ReduceMean": 1, "ReduceSum": 1, "Slice": 3, "Squeeze": 1,
    "Unsqueeze": 1,
}  # fmt: skip
"""Which input of an op names its axes, or has two numbers for each."""
_AXIS = {
    "Concat": None, "Flatten": 1, "Gather": 0, "LayerNormalization": -1, "LogSoftmax": -1,
    "Softmax": -1,
}  # fmt: skip


def mixes_rows(node: ir.Node) -> str | None:
    """Why a node may not run on some of the rows only; None if it may.

    A value counts as batched if its first dimension is not a fixed number.
    """
    if ops.is_gate(node):
        given = [v.name for v in node.inputs[1:] if v is not None and v.is_graph_input()]
        return f"its run-time input {given[0]!r} may have a row for each sample" if given else None
    if node.domain == ops.DOMAIN:
        return None
    if node.op_type in _ROW_WISE:
        weights = [v for v in node.inputs[1:] if v is not None and is_batched(v)]
        return f"its weight {weights[0].name!r} is computed" if weights else None
    if node.op_type in _BROADCAST:
        rank = node.outputs[0].shape.rank() if node.outputs[0].shape is not None else 0
        short = [v for v in node.inputs if v is not None and is_batched(v) and _rank(v) != rank]
        return f"{short[0].name!r} is broadcast across the batch" if short else None
    if node.op_type in _AXIS:
        axis = (
            node.attributes["axis"].as_int() if "axis" in node.attributes else _AXIS[node.op_type]
        )
        rank = _rank(node.inputs[0])
        if axis is None or axis % max(rank, 1) == 0:
            return "it works along the batch axis"
        return None
    if node.op_type in ("Gemm", "MatMul"):
        turned = "transA" in node.attributes and node.attributes["transA"].as_int()
        if turned or node.inputs[1] is None or is_batched(node.inputs[1]):
            return "it multiplies rows with each other"
        return None
    if node.op_type == "Transpose":
        perm = node.attributes["perm"].as_ints() if "perm" in node.attributes else (-1,)
        return None if perm[0] == 0 else "it moves the batch axis"
    return _by_constants(node)


def is_batched(value: ir.Value) -> bool:
    """Whether the first dimension of a value is open, that is, counts samples."""
    shape = value.shape
    return shape is not None and shape.rank() > 0 and not isinstance(shape[0], int)


def _by_constants(node: ir.Node) -> str | None:
    if node.op_type == "Reshape":
        before, after = node.inputs[0], node.outputs[0]
        same = before is not None and _row_size(before) == _row_size(after) is not None
        return None if same else "it moves elements between rows"
    if node.op_type not in _AXES:
        return f"{node.op_type} is not known to be row-wise"
    place = _AXES[node.op_type]
    array = constant(node.inputs[place]) if len(node.inputs) > place else None
    if array is None:
        return "its axes are not constant"
    rank = _rank(node.outputs[0] if node.op_type == "Unsqueeze" else node.inputs[0])
    if node.op_type == "Pad":
        return _pad(node, array.reshape(2, -1), rank)
    if any(int(axis) % rank == 0 for axis in array):
        return "it works along the batch axis"
    return None


def _pad(node: ir.Node, ends: np.ndarray, rank: int) -> str | None:
    """Why a Pad by `ends`, the starts of its axes and their ends, mixes rows."""
    given = node.inputs[3] if len(node.inputs) > 3 else None
    axes = np.arange(rank) if given is None else constant(given)
    if axes is None:
        return "its axes are not constant"
    return "it pads the batch axis" if ends[:, axes % rank == 0].any() else None


def _rank(value: ir.Value | None) -> int:
    return value.shape.rank() if value is not None and value.shape is not None else 0


def _row_size(value: ir.Value) -> int | None:
    if value.shape is None or not value.shape.rank():
        return None
    row = list(value.shape)[1:]
    return (
        math.prod(d for d in row if isinstance(d, int))
        if all(isinstance(d, int) for d in row)
        else None
    )
