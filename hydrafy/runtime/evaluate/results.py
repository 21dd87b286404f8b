"""A result: what was counted of a point of an evaluation, as shares and means."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from operator import add

import numpy as np

from hydrafy.runtime.evaluate.counts import Counts
from hydrafy.runtime.evaluate.entrant import Entrant
from hydrafy.runtime.evaluate.evaluation import Latency, Result, Share
from hydrafy.runtime.evaluate.points import Point
from hydrafy.train.data import Array


def result(
    point: Point,
    counted: Sequence[Counts],
    latencies: Mapping[int, Latency],
    order: Sequence[str],
) -> Result:
    """What there is to tell of a point.

    Args:
        point: a file, its settings, the way to run its gates.
        counted: of each run.
        latencies: by batch size.
        order: the names of the classes, in which those of all files are told.
    """
    entrant, counts = point.entrant, functools.reduce(add, counted)
    images = int(counts.images.sum())  # each as often as it was run
    works = entrant.works
    costs = point.passes * np.array([one.macs for one in works or ()], np.int64)
    names = [predicate.name for predicate in entrant.predicates]
    tops = [float(one.first.sum() / one.images.sum()) for one in counted]
    place = _places(entrant.classes, order, len(counts.images))

    def of_classes(which: Array) -> tuple[float | None, ...]:
        rates = _shares(which, counts.images)
        return tuple(None if at is None else rates[at] for at in place)

    return Result(
        file=str(entrant.file),
        stage=entrant.program.stage,
        settings=point.settings,
        gates=str(point.way or ""),
        top1=float(counts.first.sum() / images),
        spread=float(np.std(tops, ddof=1)) if len(tops) > point.passes else None,
        top5=float(counts.best.sum() / images),
        classes=of_classes(counts.first),
        macs=None if works is None else float(costs @ counts.ran) / images,
        stored_macs=None if works is None else int(costs.sum()),
        latencies=latencies,
        leaves=tuple((counts.left / images).tolist()) if entrant.exits else (),
        leaving=tuple(_leaving(entrant)),
        decisions={
            name: tuple((chosen / images).tolist())
            for name, chosen in zip(entrant.decisions, counts.chosen, strict=True)
        },
        predicates=dict(zip(names, (counts.held.sum(1) / images).tolist(), strict=True)),
        class_rates=dict(zip(names, map(of_classes, counts.held), strict=True)),
        parts=tuple(
            Share(tuple(sorted(map(str, one.conditions))), ran / images, one.macs)
            for one, ran in zip(works or (), counts.ran.tolist(), strict=True)
            if one.conditions
        ),
    )


def _leaving(entrant: Entrant) -> Iterator[str]:
    """The decisions of exits, and the predicates that are made of these alone."""
    known = {(one.decision, one.column) for one in entrant.exits}
    yield from dict.fromkeys(one.decision for one in entrant.exits)
    for predicate in entrant.predicates:
        if known.issuperset((atom.value, atom.column) for atom in predicate.atoms):
            yield predicate.name


def _places(own: Sequence[str], names: Sequence[str], count: int) -> list[int | None]:
    """Where a file has the classes of some names; in its own order where nobody knows them."""
    if own == names or not own or not names:
        return [*range(count)]
    found = {name: place for place, name in enumerate(own)}
    return [found.get(name) for name in names]


def _shares(which: Array, images: Array) -> list[float | None]:
    """Of each class, the share of its images; None where it has none."""
    each = zip(which.tolist(), images.tolist(), strict=True)
    return [some / of if of else None for some, of in each]
