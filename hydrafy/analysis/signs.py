"""Signs: which values are provably never negative, whatever image comes in."""

from collections.abc import Iterable

import onnx_ir as ir

from hydrafy.ir import ops
from hydrafy.ir.values import constant

_ALWAYS = frozenset({"Abs", "Exp", "HardSigmoid", "Relu", "Sigmoid", "Softmax", "Sqrt"})
_ALL_INPUTS = frozenset({"Add", "Concat", "Conv", "Div", "Min", "Mul", "Sum"})
_FIRST_INPUT = frozenset({
    "AveragePool", "Cast", "Ceil", "Dropout", "Expand", "Flatten", "Floor", "Gather",
    "GlobalAveragePool", "GlobalMaxPool", "Identity", "LeakyRelu", "MaxPool", "ReduceMax",
    "ReduceMean", "ReduceSum", "Reshape", "Slice", "Squeeze", "Tile", "Transpose", "Unsqueeze",
})  # fmt: skip


def non_negative(nodes: Iterable[ir.Node]) -> set[ir.Value]:
    """The results of `nodes`, given in topological order, that are never negative.

    A NaN is not counted as negative. What the nodes read from elsewhere is taken to have any sign,
    constants excepted.
    """
    found: set[ir.Value] = set()

    def holds(value: ir.Value | None) -> bool:
        array = constant(value)
        return value in found if array is None else bool((array >= 0).all())

    for node in nodes:
        if ops.is_select(node):
            never = all(holds(v) for v in node.inputs[1:])
        else:
            never = node.domain == "" and _is_non_negative(node, [holds(v) for v in node.inputs])
        if never:
            found.add(node.outputs[0])
    return found


def _is_non_negative(node: ir.Node, signs: list[bool]) -> bool:
    """Whether a node's first result is never negative; `signs` says which of its inputs are not."""
    if node.op_type in _ALWAYS:
        return True
    if node.op_type in _ALL_INPUTS:
        return all(signs)
    if node.op_type in _FIRST_INPUT:
        return signs[0]
    if node.op_type == "Max":
        return any(signs)
    if node.op_type == "Clip":
        low, high = (len(signs) > i and node.inputs[i] is not None for i in (1, 2))
        return (signs[0] or (low and signs[1])) and (not high or signs[2])
    if node.op_type == "Where":
        return all(signs[1:])
    if node.op_type == "Pad":
        return signs[0] and (len(signs) < 3 or node.inputs[2] is None or signs[2])
    return False
