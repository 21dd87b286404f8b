"""What single layers are: pointwise, depthwise, per channel, a shortcut's padding."""

import numpy as np
import onnx_ir as ir

from hydrafy.ir.values import constant


def channels(value: ir.Value) -> int:
    """The number of channels of a value [N, C, ...]."""
    assert value.shape is not None
    size = value.shape[1]
    assert isinstance(size, int)
    return size


def group_count(node: ir.Node) -> int:
    """The number of groups of a Conv, 1 where its filters read all channels."""
    return node.attributes["group"].as_int() if "group" in node.attributes else 1


def is_depthwise(node: ir.Node) -> bool:
    """Whether a Conv filters each channel by itself, one output for each input."""
    source = node.inputs[0]
    assert source is not None
    return group_count(node) == channels(source) == channels(node.outputs[0])


def is_full(node: ir.Node) -> bool:
    """Whether a node is a Conv of which each filter reads all channels."""
    return node.op_type == "Conv" and group_count(node) == 1 and not is_depthwise(node)


def is_pointwise(node: ir.Node) -> bool:
    """Whether a node is a 1x1 convolution of stride 1 over all channels."""
    kernel = constant(node.inputs[1]) if node.op_type == "Conv" else None
    neutral = {"strides": 1, "pads": 0, "dilations": 1, "group": 1}
    plain = all(
        set(np.atleast_1d(a.value).tolist()) == {neutral[a.name]}
        for a in node.attributes.values()
        if a.name in neutral
    )
    return kernel is not None and kernel.shape[2:] == (1, 1) and plain


def margins(node: ir.Node) -> np.ndarray | None:
    """What a Pad adds before and after each axis, [2, rank]; None if unknown, or no Pad."""
    pads = constant(node.inputs[1]) if node.op_type == "Pad" else None
    out = node.outputs[0].shape
    if pads is None or out is None:
        return None
    named = constant(node.inputs[3]) if len(node.inputs) > 3 else np.arange(out.rank())
    if named is None:
        return None
    full = np.zeros((2, out.rank()), np.int64)
    full[:, named % out.rank()] = pads.reshape(2, -1)
    return full


def pads_zeros(node: ir.Node) -> bool:
    """Whether what a Pad adds is zero."""
    value = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    mode = node.attributes["mode"].as_string() if "mode" in node.attributes else "constant"
    return mode == "constant" and (value is None or value.item() == 0)


def is_channel_pad(node: ir.Node) -> bool:
    """Whether a Pad adds zero channels and nothing else (the shortcut of type A)."""
    added = margins(node)
    if added is None or added.shape[1] != 4 or not pads_zeros(node):
        return False
    return not added[:, [0, 2, 3]].any() and bool((added >= 0).all())


def channel_axis(array: np.ndarray, out: ir.Value) -> int | None:
    """The axis along which a constant that is broadcast to `out` [N, C, ...] has its channels.

    None where all channels get the same.
    """
    assert out.shape is not None
    axis = 1 - out.shape.rank()
    return axis if array.ndim >= -axis and array.shape[axis] == channels(out) > 1 else None
