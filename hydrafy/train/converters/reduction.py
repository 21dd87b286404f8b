"""ReduceMean: the mean over some axes."""

import onnx_ir as ir
import torch
from torch import fx

from hydrafy.train.context import Context


def mean(x: torch.Tensor, axes: tuple[int, ...], keep: bool) -> torch.Tensor:
    """The mean over the named axes; x itself where none is named."""
    return x.mean(dim=axes, keepdim=keep) if axes else x


def convert(context: Context, node: ir.Node) -> fx.Node:
    """ReduceMean; without axes it is over all of them, or does nothing where it says so."""
    source, axes = node.inputs[0], context.ints(node, 1)
    keep = bool(node.attributes.get_int("keepdims", 1))
    if not axes and not node.attributes.get_int("noop_with_empty_axes", 0):
        if source is None or source.shape is None:
            raise context.refuse(node, "its input's rank is not known")
        axes = list(range(source.shape.rank()))
    return context.call(node, mean, context.tensor(source), tuple(axes or ()), keep)


CONVERTERS = {("", "ReduceMean"): convert}
