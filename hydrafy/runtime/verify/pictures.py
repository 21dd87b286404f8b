"""Images through both forms, with run-time inputs over their range."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.rows import is_batched
from hydrafy.errors import ModelError, VerifyError
from hydrafy.ir.manifest import RuntimeInput
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.runtime.verify.compare import TOLERANCE, Array, Feeds
from hydrafy.runtime.verify.probes import images

BATCH = 32
FIRST = 3  # random images at the defaults, and where each image gets a setting of its own
FLIPPED = 0.01
"""The share of images for which rounding may flip a decision in float32; one in any case."""


class Pair(Protocol):
    """Two forms that images can be put through."""

    def compare(self, feeds: Feeds, count: int, limit: float) -> tuple[float, Array]:
        """The largest difference of outputs over their scale; the rows with flipped decisions."""


@dataclass(frozen=True)
class Seen:
    """The sizes of the batches, the largest difference, and images with flipped decisions."""

    batches: tuple[int, ...]
    worst: float
    flipped: int


def images_in(
    pair: Pair,
    one: Program,
    two: Program,
    pictures: Array | None,
    limit: float,
    rng: np.random.Generator,
) -> Seen:
    """Compares two forms on images, and on fewer for each setting of the run-time inputs.

    Raises:
        VerifyError: they differ, or rounding flips the decisions of more than 1 % of the images.
    """
    batches, worst, flipped = [], 0.0, 0
    for feeds, count in _feeds(one, two, pictures, rng):
        most, rows = pair.compare(feeds, count, limit)
        batches.append(count)
        worst = max(worst, most)
        flipped += int(rows.sum())
    if limit <= TOLERANCE and flipped > max(1, FLIPPED * sum(batches)):
        raise VerifyError(
            f"decisions differ for {flipped} of {sum(batches)} images: rounding explains 1 %"
        )
    return Seen(tuple(batches), worst, flipped)


def check_fit(one: Program, two: Program) -> None:
    """Whether two files can be forms of one network.

    Raises:
        ModelError: they take different images, or one lacks a prediction of the other.
    """
    first, second = one.data_inputs[:1], two.data_inputs[:1]
    if not first or not second or first[0].name != second[0].name:
        raise ModelError("the two files do not fit: their inputs have different names")
    if dims(first[0]) != dims(second[0]):
        raise ModelError(
            f"the two files do not fit: input {first[0].name!r} is {first[0].shape} in one and "
            f"{second[0].shape} in the other"
        )
    mine, theirs = _predictions(one), _predictions(two)
    alone = sorted(mine ^ theirs)
    if alone:
        raise ModelError(f"the two files do not fit: only one of them has the output {alone[0]!r}")


def _predictions(program: Program) -> set[str]:
    names = {v.name or "" for v in program.graph.outputs}
    return {name for name in names if program.manifest.role(name) == "prediction"}


def _feeds(
    one: Program, two: Program, pictures: Array | None, rng: np.random.Generator
) -> Iterator[tuple[Feeds, int]]:
    settings = list(_settings(one, two, rng))
    name = one.data_inputs[0].name or ""
    if pictures is not None:
        for start in range(0, len(pictures), BATCH):
            part = pictures[start : start + BATCH]
            yield {name: part, **_bools(one, len(part), rng), **settings[0]}, len(part)
        settings = settings[1:]
    for number, setting in enumerate(settings):
        many = not number or any(len(a) > 1 for a in setting.values() if a.ndim)
        count = _count(one, two, FIRST if many else 1)
        drawn = images(one, count, rng) if pictures is None else {name: pictures[:count]}
        if len(drawn[name]) == count:
            yield {**drawn, **_bools(one, count, rng), **setting}, count


def _count(one: Program, two: Program, wanted: int) -> int:
    """The size of a batch: what a file fixes, unless that is one image, which may be repeated."""
    shapes = [program.data_inputs[0].shape for program in (one, two)]
    fixed = [shape[0] for shape in shapes if shape is not None and isinstance(shape[0], int)]
    return max(fixed, default=1) if max(fixed, default=1) > 1 else wanted


def _settings(one: Program, two: Program, rng: np.random.Generator) -> Iterator[Feeds]:
    """Values of the run-time inputs: none, then from one end of the range to the other.

    The last settings have a value for each image: anything between, then of one input after the
    other its ends in turn, so that images which lie next to each other go different ways, with all
    others at the same end; and its steps, each with the number right below it. If one file is
    static, there is one setting: the values at which a network computes what its source did.
    """
    owners = {e.name: (e, p) for p in (one, two) for e in p.manifest.runtime_inputs}
    likes = {name: p.weight(name) for name, (_, p) in owners.items()}
    entries = [entry for entry, _ in owners.values()]
    if {one.stage, two.stage} & {"source", "static"}:
        neutral = {e.name: e.neutral for e in entries if e.neutral is not None}
        yield {name: np.full_like(likes[name], value) for name, value in neutral.items()}
        return
    yield {}
    if not entries:
        return
    for share in (0.0, 0.5, 1.0):
        middle = {e.name: e.minimum + share * (e.maximum - e.minimum) for e in entries}
        yield {name: np.full_like(likes[name], value) for name, value in middle.items()}
    free = {v.name for v in (*one.graph.inputs, *two.graph.inputs) if is_batched(v)}
    each = [e for e in entries if e.name in free and likes[e.name].shape[:1] == (1,)]
    if each:
        sizes = {e.name: (FIRST, *likes[e.name].shape[1:]) for e in each}
        yield {e.name: rng.uniform(e.minimum, e.maximum, sizes[e.name]).astype("f") for e in each}
    for turning in each:
        for low in (True, False):
            ends = {e.name: _ends(e, low)[:1] * FIRST for e in each}
            ends[turning.name] = (_ends(turning, low) * FIRST)[1 : FIRST + 1]
            yield {name: np.array(rows, np.float32)[:, None] for name, rows in ends.items()}
        others = {e.name: e.neutral for e in entries if e.neutral is not None}
        for rows in _around(turning.steps):
            at = {name: np.full_like(likes[name], value) for name, value in others.items()}
            yield {**at, turning.name: rows}


def _ends(entry: RuntimeInput, low: bool) -> list[float]:
    """Both ends of a range, the lower one first or last."""
    ends = [entry.minimum, entry.maximum]
    return ends if low else ends[::-1]


def _around(steps: tuple[float, ...]) -> Iterator[Array]:
    """Some values with steps and what lies right below them: float32 [FIRST, 1]."""
    at = np.array(steps, np.float32)
    both = np.stack([at, np.nextafter(at, np.float32(-1))], axis=1).reshape(-1, 1)
    for start in range(0, len(both), FIRST):
        yield np.resize(both[start : start + FIRST], (FIRST, 1))


def _bools(program: Program, count: int, rng: np.random.Generator) -> Feeds:
    """Decisions that the caller of a program has to make, at random."""
    return {
        v.name or "": np.asarray(rng.random((count, *dims(v)) if is_batched(v) else ()) < 0.5)
        for v in program.data_inputs
        if v.dtype == ir.DataType.BOOL
    }
