"""What is known of a training run: running means of the loss terms and the accuracy."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from hydrafy.errors import OptionError


@dataclass(frozen=True)
class Step:
    """Where training stands after a batch; loss, terms and accuracy are means over the epoch."""

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    terms: Mapping[str, float]
    accuracy: float


@dataclass(frozen=True)
class History:
    """The last step of each finished epoch, and whether the user stopped the training."""

    epochs: tuple[Step, ...]
    interrupted: bool = False


class Meter:
    """Sums up one epoch, batch by batch."""

    def __init__(self, epoch: int, epochs: int, batches: int) -> None:
        self.epoch, self.epochs, self.batches = epoch, epochs, batches
        self.batch = self.samples = 0
        self.loss = self.hits = 0.0
        self.terms: dict[str, float] = {}

    def add(
        self,
        total: torch.Tensor,
        values: Mapping[str, torch.Tensor],
        prediction: torch.Tensor,
        labels: torch.Tensor,
    ) -> Step:
        """Counts a batch in: its loss, its terms, and its prediction [N, classes] of labels [N].

        Raises:
            OptionError: a term is NaN or infinite; it says which, and in which epoch and batch.
        """
        size = len(labels)
        self.batch += 1
        self.samples += size
        hits = (prediction.argmax(1) == labels).sum()
        loss, right, *terms = torch.stack(
            [v.detach().double() for v in (total, hits, *values.values())]
        ).tolist()
        self.loss += loss * size
        self.hits += right
        for name, term in zip(values, terms, strict=True):
            if not math.isfinite(term):
                raise OptionError(
                    f"loss term {name!r} became {term} in epoch {self.epoch}, batch {self.batch}: "
                    "lower the learning rate"
                )
            self.terms[name] = self.terms.get(name, 0.0) + term * size
        return Step(
            epoch=self.epoch,
            epochs=self.epochs,
            batch=self.batch,
            batches=self.batches,
            loss=self.loss / self.samples,
            terms={name: term / self.samples for name, term in self.terms.items()},
            accuracy=self.hits / self.samples,
        )
