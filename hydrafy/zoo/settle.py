"""Makes a fresh network behave as a trained one: scales that differ, activations in proportion."""

from __future__ import annotations

import torch
from torch import nn


def spread(module: nn.Module) -> None:
    """Spreads BatchNorm's scales and shifts around 1 and 0: they differ, and matter."""
    for norm in _norms(module):
        nn.init.uniform_(norm.weight, 0.75, 1.25)
        nn.init.normal_(norm.bias, std=0.1)


def settle(module: nn.Module, images: torch.Tensor) -> None:
    """Gives BatchNorm the statistics of one batch, so that activations keep their scale."""
    norms = _norms(module)
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0  # keep nothing of the statistics before
    with torch.no_grad():
        module.train()(images)
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum


def _norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
