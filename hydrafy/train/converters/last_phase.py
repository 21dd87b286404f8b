"""LastPhase: what takes part in the last phase of a training, and in all that follows."""

import onnx_ir as ir
import torch
from torch import fx, nn

from hydrafy.ir.ops import DOMAIN
from hydrafy.train.context import Context


class LastPhase(nn.Module):
    """Hands x on while `on` holds, as it does unless a trainer says otherwise; else zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.on = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A tensor of x's shape."""
        return x if self.on else torch.zeros_like(x)


def switch(module: nn.Module, on: bool) -> None:
    """Says whether the last phase has come."""
    for part in module.modules():
        if isinstance(part, LastPhase):
            part.on = on


def convert(context: Context, node: ir.Node) -> fx.Node:
    """LastPhase(x)."""
    return context.module(node, LastPhase(), context.tensor(node.inputs[0]))


CONVERTERS = {(DOMAIN, "LastPhase"): convert}
