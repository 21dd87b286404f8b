"""Conv: an `nn.Conv` layer where it owns its weights, else a functional call."""

import onnx_ir as ir
import torch
import torch.nn.functional as F
from torch import fx, nn

from hydrafy.train.context import Context
from hydrafy.train.window import Window, window

LAYERS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def convolve(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    shape: Window,
    groups: int,
) -> torch.Tensor:
    """A convolution over x [N, C, ...]; paddings may differ between the two ends of an axis."""
    if shape.even:
        padding = shape.before
    else:
        x, padding = F.pad(x, shape.pad()), (0,) * len(shape.kernel)
    function = (F.conv1d, F.conv2d, F.conv3d)[len(shape.kernel) - 1]
    return function(x, weight, bias, shape.strides, padding, shape.dilations, groups)


def convert(context: Context, node: ir.Node) -> fx.Node:
    """Conv with any strides, pads, dilations and groups, over one to three spatial axes."""
    x, weight = node.inputs[0], node.inputs[1]
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if weight is None or weight.shape is None or weight.shape.rank() not in (3, 4, 5):
        raise context.refuse(node, "its weight is not of rank 3, 4 or 5")
    kernel = tuple(d for d in weight.shape[2:] if isinstance(d, int))
    shape, groups = window(context, node, kernel), node.attributes.get_int("group", 1)
    path = context.path(node, ("weight", "bias"))
    if path is None or not shape.even:
        operands = (context.tensor(x), context.tensor(weight), context.optional(bias))
        return context.call(node, convolve, *operands, shape, groups)
    array = context.array(weight)
    layer = LAYERS[len(kernel)](
        array.shape[1] * groups,
        array.shape[0],
        kernel,  # type: ignore
        shape.strides,
        shape.before,
        shape.dilations,
        groups,
        bias=bias is not None,
        device="meta",
    )
    return context.layer(node, path, layer, context.tensor(x))


CONVERTERS = {("", "Conv"): convert}
