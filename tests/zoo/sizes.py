"""What the tables of the papers count, counted on a network of the zoo that holds no data."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hydrafy import zoo


def empty(name: str, **options: object) -> nn.Module:
    """A network whose tensors have shapes, but no data."""
    with torch.device("meta"):
        return zoo.find(name, options).module().eval()


def parameters(name: str, **options: object) -> int:
    """All trainable numbers."""
    return sum(p.numel() for p in empty(name, **options).parameters())


def macs(name: str, **options: object) -> int:
    """Multiply-accumulates of one image; torch counts two operations for each."""
    shape = zoo.find(name, options).input_shape
    with FlopCounterMode(display=False) as counter:
        empty(name, **options)(torch.zeros(1, *shape, device="meta"))
    return counter.get_total_flops() // 2
