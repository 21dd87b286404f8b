"""Conv: an `nn.Conv` layer where it owns its weights, else a functional call."""

from collections.abc import Callable

import onnx_ir as ir
import torch
import torch.nn.functional as F
from torch import fx, nn

from hydrafy.train.context import Context
from hydrafy.train.window import window

LAYERS: dict[int, Callable[..., nn.Conv1d | nn.Conv2d | nn.Conv3d]] = {
    1: nn.Conv1d,
    2: nn.Conv2d,
    3: nn.Conv3d,
}
FUNCTIONS: dict[int, Callable[..., torch.Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def convolve(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    strides: tuple[int, ...],
    padding: tuple[int, ...],
    dilations: tuple[int, ...],
    groups: int,
) -> torch.Tensor:
    """A convolution over x [N, C, ...]; `padding` has one number for each axis, or two."""
    axes = len(strides)
    if len(padding) > axes:
        x, padding = F.pad(x, padding), (0,) * axes
    return FUNCTIONS[axes](x, weight, bias, strides, padding, dilations, groups)


def convert(context: Context, node: ir.Node) -> fx.Node:
    """Conv with any strides, pads, dilations and groups, over one to three spatial axes."""
    x, weight, bias = (*node.inputs, None)[:3]
    if weight is None or weight.shape is None or weight.shape.rank() - 2 not in LAYERS:
        raise context.refuse(node, "its weight is not of rank 3, 4 or 5")
    kernel = tuple(d for d in weight.shape[2:] if isinstance(d, int))
    shape, groups = window(context, node, kernel), node.attributes.get_int("group", 1)
    sizes = (shape.strides, shape.padding(), shape.dilations, groups)
    path = context.path(node, ("weight", "bias"))
    if path is None or not shape.even:
        weights = (context.tensor(weight), context.optional(bias))
        return context.call(node, convolve, context.tensor(x), *weights, *sizes)
    kept = context.parameter(weight)
    channels = (kept.shape[1] * groups, kept.shape[0])
    layer = LAYERS[len(kernel)](*channels, kernel, *sizes, bias=bias is not None, device="meta")
    layer.weight = kept
    if bias is not None:
        layer.bias = context.parameter(bias)
    return context.layer(node, path, layer, context.tensor(x))


CONVERTERS = {("", "Conv"): convert}
