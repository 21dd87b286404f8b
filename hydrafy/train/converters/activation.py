"""Activations: functions of each number, and Softmax and LogSoftmax over one axis."""

from collections.abc import Callable

import onnx_ir as ir
import torch
import torch.nn.functional as F
from torch import fx

from hydrafy.train.context import Context, Converter


def hard_sigmoid(x: torch.Tensor, alpha: float, beta: float) -> torch.Tensor:
    """The line alpha * x + beta, cut off at 0 and 1."""
    return torch.clamp(alpha * x + beta, 0.0, 1.0)


def clip(x: torch.Tensor, low: float | None, high: float | None) -> torch.Tensor:
    """Limits x between two bounds, or on one side of one."""
    return x if low is None and high is None else torch.clamp(x, low, high)


def prelu(x: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
    """Where x is negative, x times a slope that is broadcast to it."""
    return torch.where(x < 0, slope * x, x)


def selu(x: torch.Tensor, alpha: float, gamma: float) -> torch.Tensor:
    """The function gamma * elu(x, alpha), for any two numbers (torch's own has fixed ones)."""
    return gamma * F.elu(x, alpha)


def _unary(function: Callable[..., torch.Tensor], **defaults: float) -> Converter:
    """A converter that hands on float attributes, ordered as they are here."""

    def convert(context: Context, node: ir.Node) -> fx.Node:
        numbers = [context.decimal(node, name, value) for name, value in defaults.items()]
        return context.call(node, function, context.tensor(node.inputs[0]), *numbers)

    return convert


def _along(function: Callable[..., torch.Tensor]) -> Converter:
    """A converter for a function along one axis, the last by default."""

    def convert(context: Context, node: ir.Node) -> fx.Node:
        axis = node.attributes.get_int("axis", -1)
        return context.call(node, function, context.tensor(node.inputs[0]), axis)

    return convert


def convert_clip(context: Context, node: ir.Node) -> fx.Node:
    """Clip between constant bounds, of which one or both may be left out."""
    bounds = [context.constant(node, place) for place in (1, 2)]
    low, high = (None if b is None else b.item() for b in bounds)
    x = context.tensor(node.inputs[0])
    return context.call(node, clip, x, low, high)


def convert_prelu(context: Context, node: ir.Node) -> fx.Node:
    """PRelu with a slope of any shape that can be broadcast."""
    return context.call(node, prelu, context.tensor(node.inputs[0]), context.tensor(node.inputs[1]))


CONVERTERS: dict[tuple[str, str], Converter] = {
    ("", "Relu"): _unary(F.relu),
    ("", "LeakyRelu"): _unary(F.leaky_relu, alpha=0.01),
    ("", "PRelu"): convert_prelu,
    ("", "Elu"): _unary(F.elu, alpha=1.0),
    ("", "Celu"): _unary(F.celu, alpha=1.0),
    ("", "Selu"): _unary(selu, alpha=1.67326319217681884765625, gamma=1.05070102214813232421875),
    ("", "Sigmoid"): _unary(torch.sigmoid),
    ("", "Tanh"): _unary(torch.tanh),
    ("", "Erf"): _unary(torch.erf),
    ("", "Log"): _unary(torch.log),
    ("", "Softplus"): _unary(F.softplus),
    ("", "Mish"): _unary(F.mish),
    ("", "HardSwish"): _unary(F.hardswish),
    ("", "HardSigmoid"): _unary(hard_sigmoid, alpha=0.2, beta=0.5),
    ("", "Softmax"): _along(torch.softmax),
    ("", "LogSoftmax"): _along(torch.log_softmax),
    ("", "Clip"): convert_clip,
}
