"""Fresh BatchNorms get the statistics of what reaches them, and keep computing the identity."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hydrafy.train.gates.top_k import TopKGate

LEAST = 1e-6  # variance below which a channel counts as constant: nothing there to normalise


class _Moments:
    """Mean and variance of a layer's input for each channel, over all batches that ran through."""

    def __init__(self) -> None:
        self.count = 0
        self.sum: torch.Tensor | float = 0.0
        self.squares: torch.Tensor | float = 0.0

    def __call__(self, layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        x = inputs[0].detach().double()
        axes = [axis for axis in range(x.dim()) if axis != 1]
        self.count += x.numel() // max(x.shape[1], 1)
        self.sum = self.sum + x.sum(axes)
        self.squares = self.squares + x.square().sum(axes)

    def mean_and_var(self) -> tuple[torch.Tensor, torch.Tensor]:
        mean = torch.as_tensor(self.sum) / self.count
        return mean, torch.as_tensor(self.squares) / self.count - mean.square()


def settle(module: nn.Module, batches: Iterable[torch.Tensor]) -> list[str]:
    """Makes fresh BatchNorm layers ready for training, and returns their names.

    A fresh layer (scale 1, shift 0, mean 0, variance 1) is the identity in eval mode, but in
    training mode it would at once rescale what flows through it. Afterwards its statistics are
    those of its input, and its scale and shift undo the normalisation: the function in eval mode
    is the same as before, and training mode starts from that function too. Other layers are left
    alone, and so is the module's mode.

    Args:
        module: what is about to be trained.
        batches: some inputs, [N, C, H, W] each, on the module's device.
    """
    fresh = {n: m for n, m in module.named_modules() if isinstance(m, _BatchNorm) and _is_fresh(m)}
    if not fresh:
        return []
    moments = {name: _Moments() for name in fresh}
    hooks = [layer.register_forward_pre_hook(moments[name]) for name, layer in fresh.items()]
    modes = {part: part.training for part in module.modules()}
    try:
        module.eval()
        for part in module.modules():
            if isinstance(part, TopKGate):
                part.train()  # the picks of training are what these layers will see
        with torch.no_grad():
            for batch in batches:
                module(batch)
            settled = [name for name in fresh if moments[name].count]
            for name in settled:
                _absorb(fresh[name], *moments[name].mean_and_var())
    finally:
        for hook in hooks:
            hook.remove()
        for part, mode in modes.items():
            part.training = mode
    return settled


def _is_fresh(layer: _BatchNorm) -> bool:
    if not layer.affine or layer.running_mean is None or layer.running_var is None:
        return False
    var = layer.running_var + layer.eps
    return bool(
        (layer.weight == 1).all()
        and (layer.bias == 0).all()
        and (layer.running_mean == 0).all()
        and ((var - 1).abs() <= 2 * layer.eps).all()
    )


def _absorb(layer: _BatchNorm, mean: torch.Tensor, var: torch.Tensor) -> None:
    assert layer.running_mean is not None and layer.running_var is not None
    var = var.clamp(min=LEAST)
    before = (layer.running_var.double() + layer.eps).rsqrt()
    layer.weight.copy_((var + layer.eps).sqrt() * before)
    layer.bias.copy_(mean * before)
    layer.running_mean.copy_(mean)
    layer.running_var.copy_(var)
