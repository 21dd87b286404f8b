"""InstanceNormalization, LayerNormalization and LRN: normalised by what is in the sample itself."""

import onnx_ir as ir
import torch
import torch.nn.functional as F
from torch import fx

from hydrafy.train.context import Context


def instance_norm(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float
) -> torch.Tensor:
    """Each channel of each sample of x [N, C, ...] by its own mean and variance."""
    axes = tuple(range(2, x.dim()))
    var, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    shape = (-1,) + (1,) * len(axes)
    return (x - mean) * torch.rsqrt(var + eps) * weight.reshape(shape) + bias.reshape(shape)


def layer_norm(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, axis: int, eps: float
) -> torch.Tensor:
    """The axes of x from `axis` on, together, by their mean and variance."""
    return F.layer_norm(x, x.shape[axis:], weight, bias, eps)


def convert_instance(context: Context, node: ir.Node) -> fx.Node:
    """InstanceNormalization."""
    eps = context.decimal(node, "epsilon", 1e-5)
    return context.call(node, instance_norm, *map(context.tensor, node.inputs), eps)


def convert_layer(context: Context, node: ir.Node) -> fx.Node:
    """LayerNormalization with or without a bias."""
    x, weight, bias = (*node.inputs, None)[:3]
    axis, eps = node.attributes.get_int("axis", -1), context.decimal(node, "epsilon", 1e-5)
    operands = (context.tensor(x), context.tensor(weight), context.optional(bias))
    return context.call(node, layer_norm, *operands, axis, eps)


def convert_local(context: Context, node: ir.Node) -> fx.Node:
    """LRN over an odd number of channels: torch and ONNX centre an even window differently."""
    size = node.attributes["size"].as_int()
    if size % 2 == 0:
        raise context.refuse(node, f"its window of {size} channels is even")
    alpha, beta = context.decimal(node, "alpha", 1e-4), context.decimal(node, "beta", 0.75)
    bias = context.decimal(node, "bias", 1.0)
    x = context.tensor(node.inputs[0])
    return context.call(node, F.local_response_norm, x, size, alpha, beta, bias)


CONVERTERS = {
    ("", "InstanceNormalization"): convert_instance,
    ("", "LayerNormalization"): convert_layer,
    ("", "LRN"): convert_local,
}
