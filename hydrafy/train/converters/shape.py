"""Reshape, Flatten, Concat and EachRow: the same numbers in another shape."""

import math

import onnx_ir as ir
import torch
from torch import fx

from hydrafy.ir.ops import DOMAIN
from hydrafy.train.context import Context


def reshape(x: torch.Tensor, target: tuple[int, ...], allow_zero: bool) -> torch.Tensor:
    """Gives x another shape: a 0 keeps a size (unless zeros are allowed), a -1 is inferred.

    The -1 is found from the sizes that are not kept, so that a batch of no images has one too.
    """
    kept = {i for i, size in enumerate(target) if size == 0 and not allow_zero}
    sizes = [x.shape[i] if i in kept else size for i, size in enumerate(target)]
    if -1 in sizes and kept:
        rest = math.prod(size for i, size in enumerate(x.shape) if i not in kept)
        stated = math.prod(s for i, s in enumerate(sizes) if i not in kept and s != -1)
        sizes[sizes.index(-1)] = rest // stated
    return x.reshape(sizes)


def flatten(x: torch.Tensor, axis: int) -> torch.Tensor:
    """A matrix: the axes before `axis` are its rows, the others its columns."""
    axis = axis + x.dim() if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


def each_row(x: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    """The one row [1, columns] for each row of x: [N, columns]."""
    return row.expand(len(x), -1)


def convert_reshape(context: Context, node: ir.Node) -> fx.Node:
    """Reshape to a constant target."""
    target = context.ints(node, 1)
    if target is None:
        raise context.refuse(node, "it has no target")
    allow_zero = bool(node.attributes.get_int("allowzero", 0))
    return context.call(node, reshape, context.tensor(node.inputs[0]), tuple(target), allow_zero)


def convert_flatten(context: Context, node: ir.Node) -> fx.Node:
    """Flatten to rank 2."""
    axis = node.attributes.get_int("axis", 1)
    return context.call(node, flatten, context.tensor(node.inputs[0]), axis)


def convert_concat(context: Context, node: ir.Node) -> fx.Node:
    """Concat along one axis."""
    axis = node.attributes["axis"].as_int()
    return context.call(node, torch.cat, [context.tensor(v) for v in node.inputs], axis)


def convert_each_row(context: Context, node: ir.Node) -> fx.Node:
    """EachRow(x, row)."""
    return context.call(node, each_row, *(context.tensor(v) for v in node.inputs))


CONVERTERS = {
    ("", "Reshape"): convert_reshape,
    ("", "Flatten"): convert_flatten,
    ("", "Concat"): convert_concat,
    (DOMAIN, "EachRow"): convert_each_row,
}
