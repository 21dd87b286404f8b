"""The points of an evaluation: files, each with some values of its run-time inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydrafy.errors import OptionError, nearest
from hydrafy.runtime.evaluate.entrant import Entrant
from hydrafy.runtime.evaluate.sweep import Sweep
from hydrafy.runtime.run import overrides
from hydrafy.train.data import Array


@dataclass(frozen=True, eq=False)
class Point:
    """A file with some values of its run-time inputs, as numbers and as arrays to feed."""

    entrant: Entrant
    settings: Mapping[str, float]
    feeds: Mapping[str, Array]


def points(
    entrants: Sequence[Entrant], settings: Mapping[str, Any], sweep: Sweep | None
) -> Iterator[Point]:
    """The files in their order, those with the swept input once for each of its values.

    Args:
        entrants: the files.
        settings: values of run-time inputs by name, for the files that have them.
        sweep: what one run-time input is walked through.

    Raises:
        OptionError: no file has such a run-time input, or a value is out of its range.
    """
    inputs = {one: {e.name for e in one.program.manifest.runtime_inputs} for one in entrants}
    known = set().union(*inputs.values())
    for name in (*settings, *([sweep.name] if sweep else [])):
        if name not in known:
            raise OptionError(f"no file has a run-time input {name!r}: {nearest(name, known)}")
    if sweep and sweep.name in settings:
        raise OptionError(f"run-time input {sweep.name!r} is both set and swept: leave one out")
    for entrant, own in inputs.items():
        fixed = {name: value for name, value in settings.items() if name in own}
        walked = sweep.values if sweep and sweep.name in own else [None]
        for value in walked:
            given = fixed if value is None or sweep is None else {**fixed, sweep.name: value}
            feeds = overrides(entrant.program, given)
            yield Point(entrant, {name: float(v) for name, v in given.items()}, feeds)


def alike(points: Sequence[Point]) -> list[list[Point]]:
    """Groups of those that take the same images."""
    groups: dict[object, list[Point]] = {}
    for point in points:
        groups.setdefault(point.entrant.takes, []).append(point)
    return list(groups.values())
