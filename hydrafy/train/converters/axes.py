"""Transpose, Squeeze and Unsqueeze: the same numbers behind other axes."""

import onnx_ir as ir
import torch
from torch import fx

from hydrafy.train.context import Context


def unsqueeze(x: torch.Tensor, axes: list[int]) -> torch.Tensor:
    """Inserts axes of size 1, which `axes` counts in the result."""
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def convert_transpose(context: Context, node: ir.Node) -> fx.Node:
    """Transpose; without a permutation the order of the axes is reversed."""
    x = node.inputs[0]
    if x is None or x.shape is None:
        raise context.refuse(node, "its input's rank is not known")
    perm = node.attributes.get_ints("perm", tuple(reversed(range(x.shape.rank()))))
    return context.call(node, torch.permute, context.tensor(x), tuple(perm))


def convert_squeeze(context: Context, node: ir.Node) -> fx.Node:
    """Squeeze of named axes; of all that have size 1 if none is named, which a batch may have."""
    axes = context.ints(node, 1)
    if axes is None:
        raise context.refuse(node, "it names no axes")
    return context.call(node, torch.squeeze, context.tensor(node.inputs[0]), tuple(axes))


def convert_unsqueeze(context: Context, node: ir.Node) -> fx.Node:
    """Unsqueeze."""
    return context.call(node, unsqueeze, context.tensor(node.inputs[0]), context.ints(node, 1))


CONVERTERS = {
    ("", "Transpose"): convert_transpose,
    ("", "Squeeze"): convert_squeeze,
    ("", "Unsqueeze"): convert_unsqueeze,
}
