"""The flow: with decisions given, both forms must compute the same, through every side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hydrafy.analysis.predication.needed import needed
from hydrafy.analysis.predication.sources import sources
from hydrafy.errors import VerifyError
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.force import ForceDecisions, decides
from hydrafy.runtime.verify.blame import blame
from hydrafy.runtime.verify.compare import Array, Arrays, Feeds, Form, compare
from hydrafy.runtime.verify.decisions import check_decisions
from hydrafy.runtime.verify.probes import Predicates, Probe, images


@dataclass(frozen=True)
class Compared:
    """The sizes of the batches that were run, and the largest difference over the scale."""

    batches: tuple[int, ...]
    worst: float


def flow(
    reference: Program,
    other: Program,
    probes: list[Probe],
    sizes: tuple[int, ...],
    limit: float,
    rng: np.random.Generator,
) -> Compared:
    """Runs both forms with the decisions of the probes.

    Each probe is run as one batch, and its first two rows as batches of their own, so that regions
    run for some rows, for all, and for none. Batches of further sizes take rows in any order.

    Raises:
        VerifyError: an output differs; it is named, and the region that it comes from.
    """
    dense, lowered = (_forced(form, reference) for form in (reference, other))
    known = Predicates(reference)
    batches, worst = [], 0.0
    for probe in _batches(probes, sizes, rng):
        feeds = {**images(reference, probe.count, rng), **probe.feeds}
        wanted, found = dense.run(feeds), lowered.run(feeds)
        most, difference = compare(wanted, found, limit)
        if difference is not None:
            where = blame(dense.program, feeds, lowered.program, feeds, limit)
            raise VerifyError(f"output {difference.output!r} {difference.clause}{where}")
        _decisions(reference, known, probe, wanted, found)
        batches.append(probe.count)
        worst = max(worst, most)
    return Compared(tuple(batches), worst)


def poisoned(
    reference: Program, other: Program, probe: Probe, limit: float, rng: np.random.Generator
) -> None:
    """An image of NaNs must leave the other rows of its batch alone.

    Raises:
        VerifyError: it does not.
    """
    form = _forced(other, reference)
    clean = images(reference, probe.count, rng)
    bad = int(rng.integers(probe.count))
    dirty = {name: _spoilt(array, bad) for name, array in clean.items()}
    wanted = form.run({**clean, **probe.feeds})
    found = form.run({**dirty, **probe.feeds})
    rest = np.arange(probe.count) != bad
    difference = compare(_rows(wanted, rest), _rows(found, rest), limit)[1]
    if difference is not None:
        raise VerifyError(
            f"one image changes what another one gets: output {difference.output!r} "
            f"{difference.clause} where another image of the batch is NaN"
        )


def _forced(form: Program, reference: Program) -> Form:
    """One form, with all that the reference decides given; merging may have had no use for some."""
    made = decides(form, (v.name or "" for v in sources(reference) if v.producer() is not None))
    return Form.of(base.run(form.clone(), [ForceDecisions(made)] if made else []))


def _spoilt(array: Array, row: int) -> Array:
    copy = array.copy()
    copy[row] = np.nan
    return copy


def _rows(arrays: Arrays, rows: Array) -> Feeds:
    return {name: array[rows] for name, array in arrays.items()}


def _batches(
    probes: list[Probe], sizes: tuple[int, ...], rng: np.random.Generator
) -> Iterator[Probe]:
    for probe in probes:
        yield probe
        yield from (probe.take([row]) for row in range(min(2, probe.count)))
    for number, size in enumerate(sizes):
        probe = probes[number % len(probes)]
        yield probe.take(rng.integers(probe.count, size=size))


def _decisions(
    reference: Program, known: Predicates, probe: Probe, wanted: Arrays, found: Arrays
) -> None:
    """Decisions that follow from others must be equal where they matter, and False elsewhere."""
    derived = {name: array for name, array in wanted.items() if array.dtype == bool}
    if not derived or not probe.count:
        return
    need = needed(reference, known.held(probe.feeds), probe.count)
    for value in reference.graph.outputs:
        name = value.name or ""
        if name in derived:
            check_decisions(name, derived[name], found[name], need.get(value))
