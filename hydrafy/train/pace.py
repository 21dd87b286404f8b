"""What changes in the course of a training: modules that ask are told how much of it is over."""

from typing import Protocol, runtime_checkable

from torch import nn


@runtime_checkable
class Paced(Protocol):
    """A module that is not the same at the beginning of a training and at its end."""

    def pace(self, share: float) -> None:
        """Takes up what holds after a share of the training, from 0 in its first epoch to 1."""


def pace(module: nn.Module, share: float) -> None:
    """Tells all parts of a module how much of the training is over, from 0 to 1."""
    for part in module.modules():
        if isinstance(part, Paced):
            part.pace(share)
