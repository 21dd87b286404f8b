"""How a node that works on [N, H, W, C] is written to do the same on [N, C, H, W]."""

from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.layout import POINTWISE, TO_NCHW, TO_NHWC
from hydrafy.ir import build
from hydrafy.ir.values import constant, dims
from hydrafy.passes.normalise.edit import set_constant

PLACE = np.array(TO_NHWC)  # axis a of [N, H, W, C] is axis PLACE[a] of [N, C, H, W]

Twins = Mapping[ir.Value, ir.Value]


def turn(graph: ir.Graph, node: ir.Node, twins: Twins) -> bool:
    """Lets a node read the twins [N, C, H, W] of its inputs [N, H, W, C], if that can be.

    A result of rank 4 is then [N, C, H, W], too, though its shape is not changed here; any other
    result is what it was.

    Returns:
        whether the node was turned; if not, nothing is changed.
    """
    rule = _RULES.get(node.op_type) if node.domain == "" and len(node.outputs) == 1 else None
    return rule is not None and rule(graph, node, twins)


def _operands(graph: ir.Graph, node: ir.Node, twins: Twins) -> bool:
    if not all(v is None or v in twins or _can_turn(v) for v in node.inputs):
        return False
    for place, value in enumerate(node.inputs):
        array = constant(value)
        if value is None or (array is not None and array.size == 1):
            continue
        if array is not None:
            whole = array.reshape((1,) * (4 - array.ndim) + array.shape)
            set_constant(graph, node, place, whole.transpose(TO_NCHW))
        elif value in twins:
            node.replace_input_with(place, twins[value])
        else:
            name = f"{node.outputs[0].name}.operand{place}"
            turned = build.op("Transpose", [value], name, perm=TO_NCHW)
            graph.insert_before(node, turned)
            node.replace_input_with(place, turned.outputs[0])
    return True


def _can_turn(value: ir.Value) -> bool:
    rank = value.shape.rank() if value.shape is not None else None
    return rank == 4 or (rank is not None and rank < 4 and constant(value) is not None)


def _axis(graph: ir.Graph, node: ir.Node, twins: Twins) -> bool:
    if not _operands(graph, node, twins):
        return False
    axis = node.attributes.get_int("axis", -1)
    node.attributes["axis"] = ir.AttrInt64("axis", int(PLACE[axis]))
    return True


def _reduction(graph: ir.Graph, node: ir.Node, twins: Twins) -> bool:
    axes = constant(node.inputs[1]) if len(node.inputs) > 1 else None
    keeps = node.op_type != "Squeeze" and node.attributes.get_int("keepdims", 1) == 1
    if axes is None or (not keeps and {int(a) % 4 for a in axes} != {1, 2}):
        return False
    return _read(node, twins) and _set(graph, node, 1, np.sort(PLACE[axes]))


def _slice(graph: ir.Graph, node: ir.Node, twins: Twins) -> bool:
    starts = constant(node.inputs[1])
    axes = constant(node.inputs[3]) if len(node.inputs) > 3 else None
    if starts is None or (axes is None and len(node.inputs) > 3):
        return False
    old = np.arange(len(starts)) if axes is None else axes
    return _read(node, twins) and _set(graph, node, 3, PLACE[old])


def _pad(graph: ir.Graph, node: ir.Node, twins: Twins) -> bool:
    ends = constant(node.inputs[1])
    axes = constant(node.inputs[3]) if len(node.inputs) > 3 else None
    if ends is None or (axes is None and len(node.inputs) > 3):
        return False
    if axes is not None:
        return _read(node, twins) and _set(graph, node, 3, PLACE[axes])
    turned = np.zeros((2, 4), np.int64)
    turned[:, PLACE] = ends.reshape(2, 4)
    return _read(node, twins) and _set(graph, node, 1, turned.ravel())


def _flatten(graph: ir.Graph, node: ir.Node, twins: Twins) -> bool:
    """Turns [N, H W C] into [N, C H W] where only fully connected layers read it."""
    source, out = node.inputs[0], node.outputs[0]
    layers = list(out.consumers())
    if source is None or out.is_graph_output() or out.shape is None:
        return False
    channels, height, width = dims(twins[source])
    rows = np.arange(channels * height * width).reshape(height, width, channels)
    if list(out.shape)[1:] != [rows.size] or not all(_is_linear(layer, out) for layer in layers):
        return False
    order = rows.transpose(2, 0, 1).ravel()
    for layer in layers:
        weight = constant(layer.inputs[1])
        assert weight is not None
        across = layer.attributes.get_int("transB", 0)
        set_constant(graph, layer, 1, np.take(weight, order, axis=1 if across else 0))
    return _read(node, twins)


def _is_linear(node: ir.Node, source: ir.Value) -> bool:
    """Whether a node is a fully connected layer over the features in `source` [N, features]."""
    if node.op_type not in ("Gemm", "MatMul") or node.inputs[0] is not source:
        return False
    if source in node.inputs[1:]:
        return False
    weight = constant(node.inputs[1])
    return weight is not None and weight.ndim == 2 and not node.attributes.get_int("transA", 0)


def _read(node: ir.Node, twins: Twins) -> bool:
    source = node.inputs[0]
    if source is None or source not in twins:  # it reads the turned value in another place
        return False
    node.replace_input_with(0, twins[source])
    return True


def _set(graph: ir.Graph, node: ir.Node, place: int, array: np.ndarray) -> bool:
    set_constant(graph, node, place, array.astype(np.int64))
    return True


_RULES: dict[str, Callable[[ir.Graph, ir.Node, Twins], bool]] = {
    **dict.fromkeys(POINTWISE, _operands),
    **dict.fromkeys(("Concat", "LogSoftmax", "Softmax"), _axis),
    **dict.fromkeys(("ReduceMax", "ReduceMean", "ReduceSum", "Squeeze"), _reduction),
    **dict.fromkeys(("Flatten", "Reshape"), _flatten),
    "Pad": _pad,
    "Slice": _slice,
}
