"""ReduceMean, ReduceSum and ReduceMax: one number for all over some axes; TopK: the largest."""

from collections.abc import Callable

import onnx_ir as ir
import torch
from torch import fx

from hydrafy.train.context import Context, Converter


def mean(x: torch.Tensor, axes: tuple[int, ...], keep: bool) -> torch.Tensor:
    """The mean over the named axes; x itself where none is named."""
    return x.mean(dim=axes, keepdim=keep) if axes else x


def total(x: torch.Tensor, axes: tuple[int, ...], keep: bool) -> torch.Tensor:
    """The sum over the named axes; x itself where none is named."""
    return x.sum(dim=axes, keepdim=keep) if axes else x


def largest(x: torch.Tensor, axes: tuple[int, ...], keep: bool) -> torch.Tensor:
    """The maximum over the named axes; x itself where none is named."""
    return x.amax(dim=axes, keepdim=keep) if axes else x


def best(x: torch.Tensor, count: int, axis: int) -> torch.Tensor:
    """The so many largest numbers along an axis, in descending order."""
    return x.topk(count, dim=axis).values


def convert_top(context: Context, node: ir.Node) -> fx.Node:
    """TopK's values, the largest first."""
    count, axis = context.ints(node, 1), node.attributes.get_int("axis", -1)
    straight = ("largest", "sorted")
    if count is None or not all(node.attributes.get_int(name, 1) for name in straight):
        raise context.refuse(node, "its k is computed, or it is not the largest in order")
    return context.call(node, best, context.tensor(node.inputs[0]), count[0], axis)


def _over(function: Callable[[torch.Tensor, tuple[int, ...], bool], torch.Tensor]) -> Converter:
    """A converter; without axes it is over all of them, or nothing is done where the node says."""

    def convert(context: Context, node: ir.Node) -> fx.Node:
        source, axes = node.inputs[0], context.ints(node, 1)
        keep = bool(node.attributes.get_int("keepdims", 1))
        if not axes and not node.attributes.get_int("noop_with_empty_axes", 0):
            if source is None or source.shape is None:
                raise context.refuse(node, "its input's rank is not known")
            axes = list(range(source.shape.rank()))
        return context.call(node, function, context.tensor(source), tuple(axes or ()), keep)

    return convert


CONVERTERS: dict[tuple[str, str], Converter] = {
    ("", "ReduceMean"): _over(mean),
    ("", "ReduceSum"): _over(total),
    ("", "ReduceMax"): _over(largest),
    ("", "TopK"): convert_top,
}
