"""Rows: whether a node treats each sample of a batch by itself."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.predication.thresholds import is_threshold
from hydrafy.ir import ops
from hydrafy.ir.values import constant

FAR = 2**31 - 1  # how exporters write "to the end" of a dimension that is open
_ALONG = "it works along the batch axis"
_EVERY = "it works along all axes"
_OPEN = "its axes are not constant"
_PRODUCT = "it multiplies rows with each other"


def mixes_rows(node: ir.Node) -> str | None:
    """Why a node may not run on some of the rows only; None if it may.

    A value counts as batched if its first dimension is not a fixed number.
    """
    if ops.is_gate(node):
        given = [v.name for v in node.inputs[1:] if v is not None and is_threshold(v)]
        return f"its threshold {given[0]!r} may have a row for each sample" if given else None
    if node.domain == ops.DOMAIN:
        return None
    rule = _RULES.get(node.op_type)
    return rule(node) if rule else f"{node.op_type} is not known to be row-wise"


def is_batched(value: ir.Value) -> bool:
    """Whether the first dimension of a value is open, that is, counts samples."""
    shape = value.shape
    return shape is not None and shape.rank() > 0 and not isinstance(shape[0], int)


def _weights(node: ir.Node) -> str | None:
    computed = [v for v in node.inputs[1:] if v is not None and is_batched(v)]
    return f"its weight {computed[0].name!r} is computed" if computed else None


def _operands(node: ir.Node) -> str | None:
    return _broadcast(node.inputs)


def _broadcast(values: Sequence[ir.Value | None]) -> str | None:
    """Why values that are broadcast to one shape do not meet row by row."""
    given = [v for v in values if v is not None]
    if not any(is_batched(v) for v in given):
        return None
    rank = max(_rank(v) for v in given)
    for value in given:
        if is_batched(value) and _rank(value) < rank:
            return f"{value.name!r} is broadcast across the batch"
        if not is_batched(value) and _rank(value) == rank and _rows(value) != 1:
            return f"{value.name!r} has a fixed number of rows"
    return None


def _concat(node: ir.Node) -> str | None:
    if node.attributes["axis"].as_int() % (_rank(node.inputs[0]) or 1) == 0:
        return _ALONG
    given = [v for v in node.inputs if v is not None]
    fixed = [v for v in given if not is_batched(v)]
    mixed = 0 < len(fixed) < len(given)
    return f"{fixed[0].name!r} has a fixed number of rows" if mixed else None


def _one_axis(node: ir.Node) -> str | None:
    axis = node.attributes.get_int("axis", 0 if node.op_type == "Gather" else -1)
    return _ALONG if axis % (_rank(node.inputs[0]) or 1) == 0 else _weights(node)


def _listed_axes(node: ir.Node) -> str | None:
    given = node.inputs[1] if len(node.inputs) > 1 else None
    axes = constant(given)
    if axes is None and given is not None:
        return _OPEN
    if axes is None or not axes.size:
        return None if node.attributes.get_int("noop_with_empty_axes", 0) else _EVERY
    rank = _rank(node.outputs[0] if node.op_type == "Unsqueeze" else node.inputs[0])
    return _ALONG if (axes % (rank or 1) == 0).any() else None


def _slice(node: ir.Node) -> str | None:
    """A Slice may name the batch axis, if it takes all of it."""
    given = [*node.inputs[1:], None, None][:4]
    starts, ends, axes, steps = (constant(v) for v in given)
    if starts is None or ends is None or any(v is not None and constant(v) is None for v in given):
        return _OPEN
    axes = np.arange(len(starts)) if axes is None else axes
    cut = (starts != 0) | (ends < FAR) | (False if steps is None else steps != 1)
    return _ALONG if cut[axes % (_rank(node.inputs[0]) or 1) == 0].any() else None


def _pad(node: ir.Node) -> str | None:
    pads, rank = constant(node.inputs[1]), _rank(node.inputs[0])
    given = node.inputs[3] if len(node.inputs) > 3 else None
    axes = np.arange(rank) if given is None else constant(given)
    if pads is None or axes is None:
        return _OPEN
    ends = pads.reshape(2, -1)  # the starts of all axes, and their ends
    return "it pads the batch axis" if ends[:, axes % (rank or 1) == 0].any() else None


def _flatten(node: ir.Node) -> str | None:
    rank = _rank(node.inputs[0])
    axis = node.attributes.get_int("axis", 1)
    return None if (axis + rank if axis < 0 else axis) == 1 else "it moves elements between rows"


def _reshape(node: ir.Node) -> str | None:
    before, after = node.inputs[0], node.outputs[0]
    if before is None or not _row_size(before) == _row_size(after) is not None:
        return "it moves elements between rows"
    fixed = is_batched(before) and not is_batched(after)
    return "its result has a fixed number of rows" if fixed else None


def _transpose(node: ir.Node) -> str | None:
    axes = range(_rank(node.inputs[0]))
    perm = node.attributes["perm"].as_ints() if "perm" in node.attributes else axes[::-1]
    return None if perm and perm[0] == 0 else "it moves the batch axis"


def _gemm(node: ir.Node) -> str | None:
    turned, weight = node.attributes.get_int("transA", 0), node.inputs[1]
    if turned or weight is None or is_batched(weight):
        return _PRODUCT
    return _broadcast([node.outputs[0], *node.inputs[2:]])


def _matmul(node: ir.Node) -> str | None:
    """The last two dimensions are multiplied, those before are broadcast; a vector has none."""
    left, right = node.inputs
    if left is None or right is None:
        return _PRODUCT
    if (is_batched(left) and _rank(left) < 2) or (is_batched(right) and _rank(right) < 3):
        return _PRODUCT
    return _broadcast([left, right]) if max(_rank(left), _rank(right)) > 2 else None


def _rank(value: ir.Value | None) -> int:
    return value.shape.rank() if value is not None and value.shape is not None else 0


def _rows(value: ir.Value) -> int | ir.SymbolicDim:
    """The first dimension of a value; 1 of one that has none."""
    return value.shape[0] if value.shape is not None and value.shape.rank() else 1


def _row_size(value: ir.Value) -> int | None:
    if value.shape is None or not value.shape.rank():
        return None
    row = list(value.shape)[1:]
    sizes = [d for d in row if isinstance(d, int)]
    return math.prod(sizes) if len(sizes) == len(row) else None


_RULES: dict[str, Callable[[ir.Node], str | None]] = {
    **dict.fromkeys((
        "AveragePool", "BatchNormalization", "Cast", "Celu", "Clip", "Conv", "DequantizeLinear",
        "Elu", "Erf", "GlobalAveragePool", "GlobalMaxPool", "HardSigmoid", "HardSwish",
        "Identity", "InstanceNormalization", "LRN", "LeakyRelu", "Log", "MaxPool", "Mish",
        "QuantizeLinear", "Relu", "Selu", "Sigmoid", "Softplus", "Sqrt", "Tanh",
    ), _weights),
    **dict.fromkeys(ops.BOTH | ops.COMPARISONS | ops.LOGIC, _operands),
    **dict.fromkeys(("Gather", "LayerNormalization", "LogSoftmax", "Softmax", "TopK"), _one_axis),
    **dict.fromkeys(("ReduceMax", "ReduceMean", "ReduceSum", "Squeeze", "Unsqueeze"), _listed_axes),
    "Concat": _concat,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Pad": _pad,
    "Reshape": _reshape,
    "Slice": _slice,
    "Transpose": _transpose,
}  # fmt: skip
