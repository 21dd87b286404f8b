"""What is known of a training run: each epoch's losses, accuracy, rates and validation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Step:
    """Where training stands after a batch; the figures are means over the epoch until then.

    Attributes:
        epoch: counted from 1 over all phases.
        epochs: of all phases.
        batch: counted from 1.
        batches: of an epoch.
        loss: what is minimised.
        terms: its terms, unweighted.
        accuracy: top-1 of the first output on the training images, 0 to 1.
        rates: of each decision, how often each of its choices was taken, 0 to 1.
    """

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    terms: Mapping[str, float]
    accuracy: float
    rates: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Validation:
    """How the network does in eval mode on images that it is not trained on.

    Attributes:
        images: how many.
        loss: the cross entropy of the first output.
        top1: the share of images whose class it gives the highest score.
        top5: the share of images to whose class it gives one of the five highest.
        rates: of each decision, how often each of its choices was taken, 0 to 1.
        exits: top-1 of each early exit by its output, if all images leave there.
    """

    images: int
    loss: float
    top1: float
    top5: float
    rates: Mapping[str, tuple[float, ...]]
    exits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Epoch:
    """A finished epoch: its last step, the learning rate of its first, its validation.

    `phase` counts from 0; `seconds` are those since the training began or went on.
    """

    step: Step
    phase: int
    learning_rate: float
    seconds: float
    validation: Validation | None = None


@dataclass(frozen=True)
class History:
    """All finished epochs.

    Attributes:
        epochs: in their order.
        best: the number of the epoch whose weights were kept, from 1: that of the best validation
            in the last phase, else the last (also where a loss is met late, as that of gates' rates
            is); 0 where that phase has not finished any.
        interrupted: whether training was stopped from outside.
        damaged: of the images that were skipped because they cannot be read: what is wrong.
    """

    epochs: tuple[Epoch, ...] = ()
    best: int = 0
    interrupted: bool = False
    damaged: tuple[str, ...] = ()


def as_plain(epochs: tuple[Epoch, ...]) -> list[dict[str, Any]]:
    """Epochs as JSON has them."""
    return [dataclasses.asdict(epoch) for epoch in epochs]


def from_plain(epochs: list[dict[str, Any]]) -> tuple[Epoch, ...]:
    """What `as_plain` gave, as it was."""
    return tuple(
        Epoch(
            **{
                **epoch,
                "step": Step(**_tuples(epoch["step"])),
                "validation": epoch["validation"] and Validation(**_tuples(epoch["validation"])),
            }
        )
        for epoch in epochs
    )


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    rates = {name: tuple(shares) for name, shares in fields["rates"].items()}
    return {**fields, "rates": rates}
