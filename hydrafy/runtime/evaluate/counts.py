"""What is counted of images while a network is evaluated; it does not grow with their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hydrafy.analysis.leaving import left
from hydrafy.analysis.predication.executed import Work
from hydrafy.analysis.predication.predicates import Predicate
from hydrafy.ir.manifest import Leaving
from hydrafy.train.data import Array

BEST = 5


@dataclass(frozen=True, eq=False)
class Counts:
    """Sums over images, all int64.

    Attributes:
        images: how many there are of each class, [classes].
        first: how many of these have the highest score at their class, [classes].
        best: how many have one of the five highest there, [classes].
        ran: for how many images each work ran, [works].
        held: for how many images of each class each predicate held, [predicates, classes].
        chosen: for how many images each choice was made, [choices] for each decision.
        left: how many images left at each exit, the last included, [exits].
    """

    images: Array
    first: Array
    best: Array
    ran: Array
    held: Array
    chosen: tuple[Array, ...]
    left: Array

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.images + other.images,
            self.first + other.first,
            self.best + other.best,
            self.ran + other.ran,
            self.held + other.held,
            tuple(a + b for a, b in zip(self.chosen, other.chosen, strict=True)),
            self.left + other.left,
        )


def count(
    scores: Array,
    labels: Array,
    works: Sequence[Work],
    predicates: Sequence[Predicate],
    decisions: Sequence[str],
    exits: Sequence[Leaving],
    found: Mapping[str, Array],
) -> Counts:
    """What there is to count of a batch.

    Args:
        scores: [n, classes].
        labels: int64 [n].
        works: what runs under which conditions.
        predicates: of these conditions.
        decisions: names of outputs, bool [n, choices].
        exits: the early ones, told by some of these.
        found: decisions, and what the predicates are read from, by name.
    """
    places, classes, images = ranks(scores, labels), scores.shape[1], len(labels)

    def of_each_class(which: Array) -> Array:
        return np.bincount(labels[which], minlength=classes)

    return Counts(
        of_each_class(places >= 0),
        of_each_class(places < 1),
        of_each_class(places < BEST),
        np.array([work.runs(found, images).sum() for work in works], np.int64),
        np.array(
            [of_each_class(np.broadcast_to(p.of(found), images)) for p in predicates], np.int64
        ).reshape(-1, classes),
        tuple(found[name].reshape(images, -1).sum(0, dtype=np.int64) for name in decisions),
        np.bincount(left(exits, found, images), minlength=len(exits) + 1),
    )


def ranks(scores: Array, labels: Array) -> Array:
    """How many classes come before the right one, int64 [n].

    Of equal scores the lower class comes first. Scores that are not all numbers are right nowhere.
    """
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    lower = np.arange(scores.shape[1]) < labels[:, None]
    before = ((scores > own) | ((scores == own) & lower)).sum(1)
    places: Array = np.where(np.isnan(scores).any(1), scores.shape[1] + BEST, before)
    return places
