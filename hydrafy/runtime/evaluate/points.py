"""The points of an evaluation: files, each with some values of its run-time inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from hydrafy.errors import OptionError, nearest
from hydrafy.execute.session import Session
from hydrafy.runtime.evaluate.counts import Counts
from hydrafy.runtime.evaluate.entrant import Entrant
from hydrafy.runtime.evaluate.sweep import Sweep
from hydrafy.runtime.evaluate.ways import ALWAYS_ON, THRESHOLD, Way, noise
from hydrafy.runtime.run import overrides, probabilities, words
from hydrafy.train.data import Array, Batch


@dataclass(frozen=True, eq=False)
class Point:
    """A file with some values of its run-time inputs, as numbers and as arrays to feed.

    Attributes:
        entrant: the file.
        settings: the values that were set: a number, or one for each column.
        feeds: these as arrays.
        way: how gates are run that can be open by chance; None where the file has none.
        seed: of chance.
    """

    entrant: Entrant
    settings: Mapping[str, float | tuple[float, ...]]
    feeds: Mapping[str, Array]
    way: Way | None = None
    seed: int = 0

    @property
    def runs(self) -> int:
        """How often each image is run."""
        return 1 if self.way is None else self.way.runs

    @property
    def passes(self) -> int:
        """How many runs it takes to classify an image."""
        return 1 if self.way is None else self.way.passes

    def noise(self, run: int, rows: Sequence[int] | Array) -> dict[str, Array]:
        """What run-time inputs are fed with besides, a row for each image: nothing, or noise."""
        if self.way is None or not self.way.by_chance:
            return {}
        columns = {name: self.entrant.program.weight(name).shape[-1] for name in self.entrant.noisy}
        return {
            name: noise(self.seed, run, rows, place, size)
            for place, (name, size) in enumerate(columns.items())
        }

    def count(self, probe: Session, batch: Batch) -> tuple[Counts, ...]:
        """What there is to count of a batch, for each run.

        Args:
            probe: a session that gives all that is watched.
            batch: images, normalised, and their rows.

        Raises:
            ModelError: onnxruntime cannot run the network, or it gives no row for each image.
        """
        own = self.entrant
        found = [
            own.run(probe, batch, self.feeds, self.noise(run, batch.rows))
            for run in range(self.runs)
        ]
        scores = [one[own.prediction] for one in found]
        if self.passes > 1:
            scores = [np.mean([probabilities(one) for one in scores], axis=0)] * self.runs
        return tuple(
            own.count(batch.rows, each, run) for each, run in zip(scores, found, strict=True)
        )


def points(
    entrants: Sequence[Entrant],
    settings: Mapping[str, Any],
    sweep: Sweep | None,
    ways: Sequence[Way] = (THRESHOLD,),
    seed: int = 0,
) -> Iterator[Point]:
    """The files in their order: once for each way to run their gates and each swept value.

    What is set or swept is not for ways other than `threshold` where it is what they feed.

    Args:
        entrants: the files.
        settings: values of run-time inputs by name, for the files that have them.
        sweep: what one run-time input is walked through.
        ways: how gates are run, in the files in which they can be open by chance.
        seed: of chance.

    Raises:
        OptionError: no file has such a run-time input or such gates, or a value is out of its
            range, or nobody reads it.
    """
    inputs = {one: {e.name for e in one.program.manifest.runtime_inputs} for one in entrants}
    known, given = set().union(*inputs.values()), (*settings, *([sweep.name] if sweep else []))
    for name in given:
        if name not in known:
            raise OptionError(f"no file has a run-time input {name!r}: {nearest(name, known)}")
    if sweep and sweep.name in settings:
        raise OptionError(f"run-time input {sweep.name!r} is both set and swept: leave one out")
    _check_ways(inputs, given, ways)
    for entrant, own in inputs.items():
        for way in ways if entrant.noisy else [None]:
            free = own - set(() if way in (None, THRESHOLD) else entrant.noisy)
            opened = _neutral(entrant) if way == ALWAYS_ON else {}
            for values in _values(settings, sweep, free):
                feeds = overrides(entrant.program, {**values, **opened})
                yield Point(entrant, {n: _shown(v) for n, v in values.items()}, feeds, way, seed)


def _values(
    settings: Mapping[str, Any], sweep: Sweep | None, names: Set[str]
) -> list[dict[str, Any]]:
    """What is set of some run-time inputs, once for each value of the one that is swept."""
    fixed = {name: value for name, value in settings.items() if name in names}
    if sweep is None or sweep.name not in names:
        return [fixed]
    return [{**fixed, sweep.name: value} for value in sweep.values]


def _shown(value: Any) -> float | tuple[float, ...]:
    """What was set, as a number or as several."""
    first, *others = (float(word) for word in words(value))
    return (first, *others) if others else first


def _check_ways(
    inputs: Mapping[Entrant, Set[str]], given: Sequence[str], ways: Sequence[Way]
) -> None:
    """Refuses ways that no file can go, and values that none of them reads."""
    if not any(one.noisy for one in inputs) and any(way != THRESHOLD for way in ways):
        raise OptionError(
            "no file has gates that can be open by chance, as those of the recipe bypass can: "
            "leave --gates out"
        )
    if THRESHOLD in ways:
        return
    for name in given:
        if all(name in one.noisy for one, own in inputs.items() if name in own):
            raise OptionError(
                f"run-time input {name!r} is set, but only the way {THRESHOLD} reads it: name it "
                "in --gates, too"
            )


def _neutral(entrant: Entrant) -> dict[str, float]:
    """The values that open all gates, by name."""
    entries = entrant.program.manifest.runtime_inputs
    return {e.name: e.minimum if e.neutral is None else e.neutral for e in entries if e.noise}


def alike(points: Sequence[Point]) -> list[list[Point]]:
    """Groups of those that take the same images."""
    groups: dict[object, list[Point]] = {}
    for point in points:
        groups.setdefault(point.entrant.takes, []).append(point)
    return list(groups.values())
