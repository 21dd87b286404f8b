"""A phase of a schedule as torch's optimiser, and as the rate of its steps."""

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from hydrafy.train.schedule import Phase


def optimiser(module: nn.Module, phase: Phase) -> torch.optim.Optimizer:
    """SGD or AdamW over all parameters that are trained: see `hydrafy.train.freeze`.

    Weight decay leaves out biases and the weights of BatchNorms, and whatever else has one number
    for each channel: to pull a scale towards 0 would undo what it normalises. Papers that name a
    weight decay do not say that they leave them out.

    Args:
        module: what is trained, on the device where it will be.
        phase: how.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if not _vector(p)], "weight_decay": phase.weight_decay},
        {"params": [p for p in parameters if _vector(p)], "weight_decay": 0.0},
    ]
    if phase.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=phase.learning_rate)
    return torch.optim.SGD(
        groups, lr=phase.learning_rate, momentum=phase.momentum, nesterov=phase.nesterov
    )


def rate(optimiser: torch.optim.Optimizer, phase: Phase, steps_per_epoch: int) -> LambdaLR:
    """The scheduler of the learning rate, to be called after each step of the optimiser."""
    return LambdaLR(optimiser, lambda step: phase.share(step, steps_per_epoch))


def _vector(parameter: torch.Tensor) -> bool:
    """Whether it is a row of numbers, whatever axes of size 1 stand around: [C], [1, C, 1, 1]."""
    return parameter.numel() <= max(parameter.shape, default=1)
