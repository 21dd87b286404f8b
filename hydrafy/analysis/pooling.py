"""Sizes: how high and wide each value becomes when the entry of a part is pooled."""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.cuts import data_values
from hydrafy.analysis.layers import margins
from hydrafy.ir import ops
from hydrafy.ir.values import constant, dims

Size = tuple[int, ...]  # height and width

_LAYERS = ops.WINDOWS | ops.NORMS
_SAME = ops.EACH | ops.BOTH | ops.NORMS
_WRITTEN = frozenset({"Expand", "Reshape", "Resize"})
"""Ops that take the sizes of their results from constants."""


def pool_that_fits(nodes: Sequence[ir.Node], entry: ir.Value, size: int) -> int:
    """The size of the squares over which the entry may be averaged: `size`, or 1.

    At most the entry's own size; 1 where `nodes` could not be computed then, see `sizes`.

    Args:
        nodes: what computes from the entry on, in topological order.
        entry: a value [N, C, H, W].
        size: the size that is wanted.
    """
    size = min(size, *dims(entry)[1:])
    return 1 if size > 1 and sizes(nodes, entry, size) is None else size


def sizes(nodes: Sequence[ir.Node], entry: ir.Value, pool: int) -> dict[ir.Value, Size] | None:
    """Height and width of each image that `nodes` compute from the entry, averaged over squares.

    None where they cannot: nothing of an image is left, a size is written into the file (as a shape
    or a constant image), or paths that a sum joins differ, as an average-pooled shortcut and a
    strided convolution do when they round differently.
    """
    found = {entry: tuple(d // pool for d in dims(entry)[1:])}
    for node in nodes:
        out = node.outputs[0]
        if out.shape is None or out.shape.rank() != 4:
            if node.op_type in _WRITTEN:
                return None
            continue
        if node.op_type not in _LAYERS and any(map(_is_map, node.inputs)):
            return None
        read = {dims(v)[1:]: found[v] for v in data_values(node) if v in found}
        if any(found[v] != read[dims(v)[1:]] for v in data_values(node) if v in found):
            return None
        source = max(read.values())
        after = _size(node, source)
        if after is None or min(after) < 1:
            return None
        found[out] = after
    return found


def _is_map(value: ir.Value | None) -> bool:
    """Whether a value is a constant with a number for each place of an image."""
    array = constant(value)
    return array is not None and array.dtype.kind == "f" and max(array.shape[-2:], default=1) > 1


def _size(node: ir.Node, before: Size) -> Size | None:
    """What a node makes of an image of the size `before`."""
    if node.op_type in ops.WINDOWS:
        return _windows(node, before)
    if node.op_type in ops.GLOBAL | {"ReduceMean"}:
        return dims(node.outputs[0])[1:]
    if node.op_type == "Pad":
        added = margins(node)
        return None if added is None else tuple(np.array(before) + added.sum(0)[2:])
    if node.op_type == "Slice":
        return _sliced(node, before)
    return before if node.op_type in _SAME or _joins_channels(node) else None


def _joins_channels(node: ir.Node) -> bool:
    return node.op_type == "Concat" and node.attributes.get_int("axis") == 1


def _windows(node: ir.Node, before: Size) -> Size | None:
    """How many windows of a convolution or pooling fit."""
    given = {a.name: a for a in node.attributes.values()}
    if "auto_pad" in given and given["auto_pad"].as_string() != "NOTSET":
        return None
    weight = node.inputs[1].shape if node.op_type == "Conv" and node.inputs[1] else None
    kernel = list(weight or ())[2:] or list(given["kernel_shape"].as_ints())

    def numbers(name: str, default: list[int]) -> np.ndarray:
        return np.array(given[name].as_ints() if name in given else default)

    pads = numbers("pads", [0] * 4)
    reach = numbers("dilations", [1, 1]) * (np.array(kernel, np.int64) - 1) + 1
    steps = (np.array(before) + pads[:2] + pads[2:] - reach) / numbers("strides", [1, 1])
    ceil = "ceil_mode" in given and given["ceil_mode"].as_int()
    return tuple(int(n) + 1 for n in (np.ceil(steps) if ceil else np.floor(steps)))


def _sliced(node: ir.Node, before: Size) -> Size | None:
    arrays = [constant(v) for v in node.inputs[1:]]
    if len(arrays) < 3 or any(a is None for a in arrays):
        return None
    starts, ends, axes, *rest = (np.asarray(a).tolist() for a in arrays)
    steps = rest[0] if rest else [1] * len(starts)
    after = list(before)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if axis % 4 > 1:
            place = axis % 4 - 2
            after[place] = len(range(*slice(start, end, step).indices(before[place])))
    return tuple(after)
