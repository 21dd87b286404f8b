"""Sums over all processes that train together; with one process alone they change nothing.

DistributedDataParallel averages the gradients of the processes' losses. A loss that is to be that
of all images together must therefore divide by the images of all processes, times their number.
"""

from typing import Any

import torch
import torch.distributed as dist


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def first() -> bool:
    """Whether this is the process that writes and tells for all of them."""
    return processes() == 1 or dist.get_rank() == 0


def total(local: torch.Tensor) -> torch.Tensor:
    """The sum of a tensor over all processes, through which gradients flow to each of them.

    Every process has to call this, whatever its images are.
    """
    if processes() == 1:
        return local
    apply: Any = _Total.apply  # torch leaves it untyped
    summed: torch.Tensor = apply(local)
    return summed


def mean(values: torch.Tensor, wanted: torch.Tensor | None = None) -> torch.Tensor:
    """The mean over the images of all processes, as this process's loss: their average is the mean.

    Args:
        values: one for each image here, [n].
        wanted: bool [n], the images that count; all where None. Without any the result is 0, and so
            is its gradient. No shape depends on it.
    """
    if wanted is None:
        wanted = torch.ones_like(values, dtype=torch.bool)
    count = total(wanted.sum().to(values.dtype))
    return torch.where(wanted, values, 0.0).sum() * processes() / count.clamp(min=1)


class _Total(torch.autograd.Function):
    """What each process adds is in the sum of all of them, so its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, local: torch.Tensor) -> torch.Tensor:
        return _summed(local)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        return _summed(grads[0])


def _summed(local: torch.Tensor) -> torch.Tensor:
    summed = local.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(summed)
    return summed
