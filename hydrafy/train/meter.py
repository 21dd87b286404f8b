"""Sums up an epoch, batch by batch: loss, terms, hits and choices, over all processes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from hydrafy.errors import OptionError
from hydrafy.train.across import processes, total
from hydrafy.train.history import Step
from hydrafy.train.losses.seen import Moment


class Meter:
    """Running means over the images of an epoch.

    Args:
        epoch: its number, from 1.
        epochs: how many there are.
        batches: of an epoch.
    """

    def __init__(self, epoch: int, epochs: int, batches: int) -> None:
        self.epoch, self.epochs, self.batches = epoch, epochs, batches
        self.batch = 0
        self.images = 0.0
        self.sums: list[float] = []  # of the loss, the terms, the hits, the labels, all choices
        self.terms: list[str] = []
        self.choices: dict[str, int] = {}  # of each decision, how many

    @staticmethod
    def of(state: Mapping[str, Any] | None) -> Meter | None:
        """A meter from its `vars`, as a checkpoint keeps them."""
        if state is None:
            return None
        meter = Meter(state["epoch"], state["epochs"], state["batches"])
        vars(meter).update(state)
        return meter

    def add(
        self,
        loss: torch.Tensor,
        terms: Mapping[str, torch.Tensor],
        prediction: torch.Tensor,
        labels: torch.Tensor,
        decisions: Mapping[str, torch.Tensor],
    ) -> None:
        """Counts a batch in; where several processes train, each counts in the same.

        Args:
            loss: the sum of the weighted terms.
            terms: each, unweighted.
            prediction: [n, classes].
            labels: [n].
            decisions: bool [n, choices] each, or [n].

        Raises:
            OptionError: a term is NaN or infinite; it says which, in which epoch and batch.
        """
        self.batch += 1
        self.terms = list(terms)
        taken = {n: d.reshape(len(d), d.shape[1:].numel()).sum(0) for n, d in decisions.items()}
        self.choices = {name: len(counts) for name, counts in taken.items()}
        # Each process's losses are such that their plain mean is the loss of all images.
        means = torch.stack([v.detach().double() for v in (loss, *terms.values())]) / processes()
        hits, known = (prediction.argmax(1) == labels).sum(), (labels >= 0).sum()
        seen = labels.new_tensor(len(labels))
        counts = torch.cat([torch.stack([hits, known, seen]), *taken.values()])
        found: list[float] = total(torch.cat([means, counts.double()])).tolist()
        for name, term in zip(terms, found[1:], strict=False):
            if not math.isfinite(term):
                raise OptionError(
                    f"loss term {name!r} became {term} in epoch {self.epoch}, batch {self.batch}: "
                    "lower the learning rate, or clip the gradients"
                )
        images = found.pop(len(terms) + 3)
        batch = [v * images for v in found[: len(terms) + 1]] + found[len(terms) + 1 :]
        self.images += images
        self.sums = [a + b for a, b in zip(self.sums or [0.0] * len(batch), batch, strict=True)]

    def moment(self) -> Moment:
        """When the next batch is seen."""
        return Moment(self.epoch - 1, self.batch, self.step().rates if self.batch else {})

    def step(self) -> Step:
        """Where the epoch stands."""
        loss, *rest = (value / max(self.images, 1) for value in self.sums)
        count = len(self.terms)
        terms, (hits, known), shares = (
            rest[:count],
            rest[count : count + 2],
            iter(rest[count + 2 :]),
        )
        return Step(
            epoch=self.epoch,
            epochs=self.epochs,
            batch=self.batch,
            batches=self.batches,
            loss=loss,
            terms=dict(zip(self.terms, terms, strict=True)),
            accuracy=hits / known if known else 0.0,
            rates={n: tuple(next(shares) for _ in range(c)) for n, c in self.choices.items()},
        )
