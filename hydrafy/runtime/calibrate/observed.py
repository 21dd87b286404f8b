"""What images do at every exit of a program, seen in one pass over them for some settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from scipy.special import expit

from hydrafy.analysis.exits import Exit, Exits, exits
from hydrafy.analysis.predication.executed import Work
from hydrafy.errors import DataError
from hydrafy.execute.session import Session
from hydrafy.passes import base
from hydrafy.passes.cut import Cut
from hydrafy.runtime.batched import batched
from hydrafy.runtime.calibrate.dial import Knob, Settings
from hydrafy.runtime.calibrate.table import Table
from hydrafy.runtime.evaluate.counts import ranks
from hydrafy.runtime.evaluate.entrant import Entrant
from hydrafy.train.data import BATCH, Array, Batch, Damaged

Progress = Callable[[str, float, float], None]


@dataclass(frozen=True, eq=False)
class Observer:
    """Runs a dynamic program, in which every exit computes its answer for every image.

    Attributes:
        entrant: its file and the images.
        exits: of the program.
        knobs: whose gates are watched.
        session: computes all that is watched.
    """

    entrant: Entrant
    exits: Exits
    knobs: tuple[Knob, ...]
    session: Session

    @staticmethod
    def of(entrant: Entrant, knobs: tuple[Knob, ...]) -> Observer:
        """Of a file that was opened."""
        found = exits(entrant.program)
        probe = base.run(entrant.program.clone(), [Cut((), _watched(entrant, found, knobs))])
        return Observer(entrant, found, knobs, Session(probe))

    def tables(self, settings: Sequence[Settings], progress: Progress) -> list[Table]:
        """A table for each of some settings of the gates that are not of exits.

        Args:
            settings: values of run-time inputs.
            progress: called with what is going on, how much of it is done, and of how much.

        Raises:
            DataError: no image could be read, or too many are damaged.
        """
        parts: list[list[Table]] = [[] for _ in settings]
        for batch in self._batches(progress):
            for own, feeds in zip(parts, settings, strict=True):
                own.append(self._table(batch, self._run(batch, feeds)))
        return [
            Table(*(np.concatenate([getattr(one, field) for one in own])
                    for field in ("scores", "hits", "costs")))
            for own in parts
        ]  # fmt: skip

    def choices(self, settings: Settings, progress: Progress) -> tuple[Array, ...]:
        """For each knob the scores of what its gates let run, ascending, float32.

        Args:
            settings: values of run-time inputs.
            progress: see `tables`.
        """
        parts: list[list[Array]] = [[np.zeros(0, np.float32)] for _ in self.knobs]
        for batch in self._batches(progress):
            found = self._run(batch, settings)
            for own, knob in zip(parts, self.knobs, strict=True):
                own += [
                    compared(gate, found)[found[gate.outputs[0].name or ""]] for gate in knob.gates
                ]
        return tuple(np.sort(np.concatenate(own)) for own in parts)

    def _batches(self, progress: Progress) -> Iterator[Batch]:
        stream = self.entrant.stream
        damaged, done = Damaged(stream), 0
        for batch in stream.batches(None, BATCH, damaged):
            yield batch
            done += len(batch.rows)
            progress(f"watching: {done} of {stream.count} images", done, stream.count)
        if not done:
            first = next(iter(damaged.errors.values()))
            raise DataError(f"no image of {stream.name} could be read: {first}")

    def _run(self, batch: Batch, feeds: Settings) -> dict[str, Array]:
        own, size = self.entrant, len(batch.rows)
        names = _watched(own, self.exits, self.knobs)
        found = batched(self.session, own.program, batch.images, feeds, names, size)
        for value in (v for p in own.predicates for v in p.values if v not in found):
            found[value] = feeds.get(value, own.program.weight(value))
        return found

    def _table(self, batch: Batch, found: Mapping[str, Array]) -> Table:
        early, size = self.exits.early, len(batch.rows)
        assert self.entrant.stream.labels is not None and self.entrant.works is not None
        labels = self.entrant.stream.labels[batch.rows]
        answers = (one.name or "" for one in (*(one.logits for one in early), self.exits.last))
        return Table(
            np.stack([keen(one, found) for one in early], axis=1) if early else np.zeros((size, 0)),
            np.stack([ranks(found[name], labels) < 1 for name in answers], axis=1),
            np.stack(
                [
                    spent(self.entrant.works, left(early, at, found), size)
                    for at in range(len(early) + 1)
                ],
                axis=1,
            ),
        )


def keen(one: Exit, found: Mapping[str, Array]) -> Array:
    """How much is for leaving there: the score, or minus that for staying, float64 [images].

    No score that is no number reaches a threshold, so that gates leave and confidence stays.
    """
    values = compared(one.gate, found)[:, one.column].astype(np.float64)
    values = np.where(np.isnan(values), -np.inf, values)
    return values if one.leaves else -values


def compared(gate: ir.Node, found: Mapping[str, Array]) -> Array:
    """The scores of a gate as its run-time input has them: probabilities, where it has log-odds."""
    scores = gate.inputs[0]
    assert scores is not None
    values = found[scores.name or ""]
    if gate.op_type != "GumbelGate":
        return values
    shares: Array = expit(values.astype(np.float64)).astype(np.float32)
    return shares


def left(early: Sequence[Exit], at: int, found: Mapping[str, Array]) -> dict[str, Array]:
    """What was computed, but that all images leave at one exit."""
    forced = dict(found)
    for number, one in enumerate(early):
        name = one.decision.name or ""
        forced[name] = forced[name].copy()
        forced[name][:, one.column] = (number == at) == one.leaves
    return forced


def spent(works: Sequence[Work], found: Mapping[str, Array], images: int) -> Array:
    """The MACs of each image, int64 [images]."""
    total = np.zeros(images, np.int64)
    for work in works:
        total += work.macs * work.runs(found, images)
    return total


def _watched(entrant: Entrant, found: Exits, knobs: Sequence[Knob]) -> tuple[str, ...]:
    values = [value for one in found.early for value in (one.logits, one.decision, one.score)]
    gates = (gate for knob in knobs for gate in knob.gates)
    seen = (value for gate in gates for value in (gate.inputs[0], gate.outputs[0]) if value)
    names = (value.name or "" for value in (found.last, *values, *seen))
    return tuple(dict.fromkeys((*entrant.watched, *names)))
