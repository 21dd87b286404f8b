"""Activations: Relu, Sigmoid, HardSigmoid, HardSwish, Softmax and Clip."""

from collections.abc import Callable

import onnx_ir as ir
import torch
import torch.nn.functional as F
from torch import fx

from hydrafy.train.context import Context, Converter


def hard_sigmoid(x: torch.Tensor, alpha: float, beta: float) -> torch.Tensor:
    """The line alpha * x + beta, cut off at 0 and 1."""
    return torch.clamp(alpha * x + beta, 0.0, 1.0)


def _unary(function: Callable[[torch.Tensor], torch.Tensor]) -> Converter:
    def convert(context: Context, node: ir.Node) -> fx.Node:
        return context.call(node, function, context.tensor(node.inputs[0]))

    return convert


def convert_hard_sigmoid(context: Context, node: ir.Node) -> fx.Node:
    """HardSigmoid with any slope and offset (torch's own has 1/6 and 1/2)."""
    alpha = context.decimal(node, "alpha", 0.2)
    beta = context.decimal(node, "beta", 0.5)
    return context.call(node, hard_sigmoid, context.tensor(node.inputs[0]), alpha, beta)


def convert_softmax(context: Context, node: ir.Node) -> fx.Node:
    """Softmax over one axis, the last by default."""
    axis = node.attributes.get_int("axis", -1)
    return context.call(node, torch.softmax, context.tensor(node.inputs[0]), axis)


def convert_clip(context: Context, node: ir.Node) -> fx.Node:
    """Clip between constant bounds, of which one or both may be left out."""
    bounds = [context.constant(node, place) for place in (1, 2)]
    low, high = (None if b is None else b.item() for b in bounds)
    x = context.tensor(node.inputs[0])
    return context.call(node, clip, x, low, high)


def clip(x: torch.Tensor, low: float | None, high: float | None) -> torch.Tensor:
    """Limits x between two bounds, or on one side of one."""
    return x if low is None and high is None else torch.clamp(x, low, high)


CONVERTERS: dict[tuple[str, str], Converter] = {
    ("", "Relu"): _unary(F.relu),
    ("", "Sigmoid"): _unary(torch.sigmoid),
    ("", "HardSwish"): _unary(F.hardswish),
    ("", "HardSigmoid"): convert_hard_sigmoid,
    ("", "Softmax"): convert_softmax,
    ("", "Clip"): convert_clip,
}
