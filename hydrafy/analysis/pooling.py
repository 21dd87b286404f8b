"""Whether a part of a network can still be computed when what it reads is pooled."""

from collections.abc import Sequence

import onnx.shape_inference
import onnx_ir as ir

from hydrafy.analysis.cuts import data_values
from hydrafy.ir import build
from hydrafy.ir.values import dims


def pool_that_fits(nodes: Sequence[ir.Node], entry: ir.Value, size: int) -> int:
    """The size of the squares over which the entry may be averaged: `size`, or 1.

    At most the entry's own size; 1 where paths that a sum joins would then differ in size, as an
    average-pooled shortcut and a strided convolution do when they round differently.

    Args:
        nodes: what computes from the entry on, in topological order.
        entry: a value [N, C, H, W].
        size: the size that is wanted.
    """
    channels, height, width = dims(entry)
    size = min(size, height, width)
    if size == 1:
        return 1
    shape = ir.Shape(["N", channels, height // size, width // size])
    values = {entry: ir.Value(name="probe", shape=shape, type=entry.type)}
    return size if all(_fits(node, values) for node in nodes) else 1


def _fits(node: ir.Node, values: dict[ir.Value, ir.Value]) -> bool:
    for v in node.inputs:  # stand-ins, so that the program's own values know of no copy
        if v is not None and v not in values:
            values[v] = ir.Value(name=v.name, shape=v.shape, type=v.type, const_value=v.const_value)
    try:
        build.copy([node], values, "probe.{}".format)
    except onnx.shape_inference.InferenceError:  # sizes do not agree
        return False
    out = values[node.outputs[0]]
    if out.shape is not None and 0 in out.shape:
        return False
    sizes = {(str(v.shape), str(values[v].shape)) for v in data_values(node)}
    return len(sizes) == len({before for before, _ in sizes})
