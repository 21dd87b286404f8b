"""BatchNormalization: an `nn.BatchNorm` layer that owns its weights, or a module without any."""

from collections.abc import Callable

import onnx_ir as ir
import torch
import torch.nn.functional as F
from torch import fx, nn

from hydrafy.train.context import Context

SLOTS = ("weight", "bias", "running_mean", "running_var")
LAYERS: dict[int, Callable[..., nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d]] = {
    2: nn.BatchNorm1d,
    3: nn.BatchNorm1d,
    4: nn.BatchNorm2d,
    5: nn.BatchNorm3d,
}


class Normalise(nn.Module):
    """Batch normalisation with weights and statistics that it does not own, but is given."""

    def __init__(self, eps: float, momentum: float) -> None:
        super().__init__()
        self.eps = eps
        self.momentum = momentum

    def forward(
        self,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        mean: torch.Tensor,
        var: torch.Tensor,
    ) -> torch.Tensor:
        """Normalises x [N, C, ...]; in training `mean` and `var` [C] are updated in place."""
        return F.batch_norm(x, mean, var, weight, bias, self.training, self.momentum, self.eps)


def convert(context: Context, node: ir.Node) -> fx.Node:
    """BatchNormalization. ONNX's momentum is the share that is kept, torch's what is new."""
    if node.attributes.get_int("training_mode", 0):
        raise context.refuse(node, "it is in training mode; export the model in eval mode")
    eps = context.decimal(node, "epsilon", 1e-5)
    momentum = round(1 - context.decimal(node, "momentum", 0.9), 6)
    x = node.inputs[0]
    path = context.path(node, SLOTS)
    rank = x.shape.rank() if x is not None and x.shape is not None else 0
    if path is None or rank not in LAYERS:
        return context.module(node, Normalise(eps, momentum), *map(context.tensor, node.inputs))
    weight, bias, mean, var = (v for v in node.inputs[1:5] if v is not None)
    layer = LAYERS[rank](int(context.array(mean).numel()), eps, momentum)
    layer.weight, layer.bias = context.parameter(weight), context.parameter(bias)
    layer.running_mean, layer.running_var = context.array(mean), context.array(var)
    return context.layer(node, path, layer, context.tensor(x))


CONVERTERS = {("", "BatchNormalization"): convert}
