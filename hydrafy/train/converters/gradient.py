"""GradScale and StopGradient: nothing at inference, less gradient in training."""

from typing import Any

import onnx_ir as ir
import torch
from torch import fx

from hydrafy.ir.ops import DOMAIN
from hydrafy.train.context import Context


class _Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, scale: float) -> torch.Tensor:
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        return grads[0] * ctx.scale, None


def grad_scale(x: torch.Tensor, scale: float) -> torch.Tensor:
    """Returns x, to the last bit; its gradient is multiplied by `scale`."""
    apply: Any = _Scale.apply  # torch leaves it untyped
    scaled: torch.Tensor = apply(x, scale)
    return scaled


def convert_scale(context: Context, node: ir.Node) -> fx.Node:
    """GradScale(x; scale)."""
    scale = context.decimal(node, "scale", 1.0)
    return context.call(node, grad_scale, context.tensor(node.inputs[0]), scale)


def convert_stop(context: Context, node: ir.Node) -> fx.Node:
    """StopGradient(x)."""
    return context.call(node, torch.detach, context.tensor(node.inputs[0]))


CONVERTERS = {(DOMAIN, "GradScale"): convert_scale, (DOMAIN, "StopGradient"): convert_stop}
