"""Slice and Gather: some of a tensor's numbers."""

import onnx_ir as ir
import torch
from torch import fx

from hydrafy.train.context import Context


def slices(
    x: torch.Tensor, axes: list[int], starts: list[int], ends: list[int], steps: list[int]
) -> torch.Tensor:
    """Takes x[start:end:step] along each of some axes; a view of x unless a step is negative."""
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if step > 0:
            x = x[(slice(None),) * (axis % x.dim()) + (slice(start, end, step),)]
        else:
            picked = range(*slice(start, end, step).indices(x.shape[axis]))
            x = x.index_select(axis, torch.tensor(list(picked), dtype=torch.long, device=x.device))
    return x


def gather(x: torch.Tensor, indices: torch.Tensor, axis: int) -> torch.Tensor:
    """The entries of one axis that `indices` (of any shape, negative from the end) name."""
    axis %= x.dim()
    flat = indices.reshape(-1) % x.shape[axis]
    picked = x.index_select(axis, flat)
    return picked.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def convert_slice(context: Context, node: ir.Node) -> fx.Node:
    """Slice with constant bounds."""
    starts, ends = context.ints(node, 1), context.ints(node, 2)
    if starts is None or ends is None:
        raise context.refuse(node, "it has no bounds")
    axes = context.ints(node, 3) or list(range(len(starts)))
    steps = context.ints(node, 4) or [1] * len(starts)
    return context.call(node, slices, context.tensor(node.inputs[0]), axes, starts, ends, steps)


def convert_gather(context: Context, node: ir.Node) -> fx.Node:
    """Gather; one constant index takes its entry and drops the axis, as `x[:, 3]` does."""
    x, indices = context.tensor(node.inputs[0]), context.tensor(node.inputs[1])
    axis = node.attributes.get_int("axis", 0)
    if isinstance(indices, fx.Node):
        return context.call(node, gather, x, indices, axis)
    return context.call(node, torch.select, x, axis, indices)


CONVERTERS = {("", "Slice"): convert_slice, ("", "Gather"): convert_gather}
