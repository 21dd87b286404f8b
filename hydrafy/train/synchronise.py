"""BatchNorms of several processes that take their statistics over the images of all of them."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hydrafy.train.across import processes, total
from hydrafy.train.converters.batchnorm import Normalise


def synchronise(module: nn.Module) -> nn.Module:
    """Replaces all BatchNorms by ones whose statistics are those of the images of all processes.

    Weights, statistics, names, modes and momenta stay; with one process alone, or in eval mode,
    they compute what they did. Every process has to run every layer in training, whatever rows it
    has. On a GPU a layer becomes torch's own, which refuses to run elsewhere.

    Args:
        module: one from `to_torch`, or one that holds it, on the device that it will be trained
            on, before it is compiled or spread.

    Returns:
        The module itself, unless it is a BatchNorm.
    """
    made = _replaced(module)
    for name, child in made.named_children():
        setattr(made, name, synchronise(child))
    return made


def batch_norm(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    mean: torch.Tensor,
    var: torch.Tensor,
    momentum: float,
    eps: float,
) -> torch.Tensor:
    """Normalises x [N, C, ...] by mean and variance over all processes, in float32 at least.

    The mean is known before the squares of what differs from it are summed: the difference of two
    large sums would leave nothing of a small variance. A single value in all, which has no
    variance, leaves the running `mean` and `var` [C] alone, and becomes the bias.
    """
    exact = x.to(torch.promote_types(x.dtype, torch.float32))
    reduced = [axis for axis in range(x.dim()) if axis != 1]
    shape = [1, -1] + [1] * (x.dim() - 2)
    sums = exact.sum(reduced)
    counted = total(torch.cat([sums, sums.new_tensor([x.numel() // x.shape[1]])]))
    count = counted[-1].detach()
    centre = counted[:-1] / count.clamp(min=1)
    offset = exact - centre.reshape(shape)
    spread = total(offset.square().sum(reduced)) / count.clamp(min=1)
    with torch.no_grad():
        share = momentum * (count > 1).to(count.dtype)
        unbiased = spread * count / (count - 1).clamp(min=1)
        mean.add_(share * (centre - mean))
        var.add_(share * (unbiased - var))
    scale = torch.rsqrt(spread + eps) * weight
    return (offset * scale.reshape(shape) + bias.reshape(shape)).to(x.dtype)


class SynchronisedBatchNorm(_BatchNorm):
    """`nn.BatchNorm` over the images of all processes, on any device."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalises x [N, C, ...]."""
        if not self.training or processes() == 1:
            return super().forward(x)
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        statistics = (self.running_mean, self.running_var)
        return batch_norm(x, self.weight, self.bias, *statistics, share, self.eps)

    def _check_input_dim(self, input: torch.Tensor) -> None:
        """Any number of axes will do."""


class SynchronisedNormalise(Normalise):
    """`Normalise` over the images of all processes."""

    def forward(
        self,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        mean: torch.Tensor,
        var: torch.Tensor,
    ) -> torch.Tensor:
        """Normalises x [N, C, ...]; in training `mean` and `var` [C] are updated in place."""
        if not self.training or processes() == 1:
            return super().forward(x, weight, bias, mean, var)
        return batch_norm(x, weight, bias, mean, var, self.momentum, self.eps)


def _replaced(layer: nn.Module) -> nn.Module:
    """A layer's counterpart that has its very tensors, or the layer itself if it has none."""
    if isinstance(layer, Normalise):
        return SynchronisedNormalise(layer.eps, layer.momentum).train(layer.training)
    if not isinstance(layer, _BatchNorm):
        return layer
    kind = nn.SyncBatchNorm if layer.weight.is_cuda else SynchronisedBatchNorm
    made = kind(layer.num_features, layer.eps, layer.momentum, device="meta")
    made.weight, made.bias = layer.weight, layer.bias
    made.running_mean, made.running_var = layer.running_mean, layer.running_var
    made.num_batches_tracked = layer.num_batches_tracked
    return made.train(layer.training)
