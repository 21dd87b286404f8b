"""Compares a lowered program with its dense reference, on probes that reach every side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hydrafy.errors import ModelError, VerifyError
from hydrafy.execute.session import Session
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes import base
from hydrafy.passes.force import ForceDecisions
from hydrafy.passes.lower.inference import DropTraining

TOLERANCE = 1e-4  # of an output's scale, float32
NEAR = 0.01  # the share of rows that may lie so near to a threshold that rounding decides

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Verification:
    """What a comparison found.

    Attributes:
        batches: the batch sizes that were run.
        rows: images compared, over all probes.
        worst: the largest difference of an output, over its scale.
        near_threshold: rows in which rounding flipped a decision.
        reached: predicates that probes made true for some rows and false for others.
    """

    batches: tuple[int, ...]
    rows: int
    worst: float
    near_threshold: int
    reached: int


def verify_lowered(dense: Program, lowered: Program, *, seed: int = 0) -> Verification:
    """Compares the two forms of one dynamic network in onnxruntime.

    First with the decisions forced, so that every predicate is true in some rows and false in
    others, on batches of 4, 1 and 0; then as they are, with the run-time inputs at their
    defaults and at both ends of their ranges.

    Raises:
        VerifyError: an output differs by more than 1e-4 of its scale, decisions differ in more
            than 1 % of the rows, a predicate was not reached both ways, or a form does not run.
    """
    reference = base.run(dense.clone(), [DropTraining()])
    rng = np.random.default_rng(seed)
    try:
        forced = _forced(reference, lowered, rng)
        free = _free(reference, lowered, rng)
    except ModelError as error:  # the input was fine: this is ours
        raise VerifyError(f"the lowered file cannot be proven: {error}") from error
    return Verification(
        batches=(*forced.batches, *free.batches),
        rows=forced.rows + free.rows,
        worst=max(forced.worst, free.worst),
        near_threshold=free.near_threshold,
        reached=forced.reached,
    )


def images(program: Program, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random images for a program's data input: standard normal, float32 [count, C, H, W]."""
    source = program.data_inputs[0]
    shape = (count, *dims(source))
    return {source.name or "": rng.standard_normal(shape).astype(np.float32)}


def _forced(reference: Program, lowered: Program, rng: np.random.Generator) -> Verification:
    dense = base.run(reference.clone(), [ForceDecisions()])
    predicates = _expose_predicates(dense)
    a = Session(dense)
    b = Session(base.run(lowered.clone(), [ForceDecisions()]))
    roles = reference.manifest.role
    decisions = [v for v in reference.graph.outputs if roles(v.name or "") == "decision"]
    seen = {name: set[bool]() for name in predicates}
    worst, batches = 0.0, (4, 1, 0)
    for count in batches:
        feeds = images(reference, count, rng)
        for value in decisions:
            one = rng.random((1, *dims(value))) < 0.5
            both_ways = [one, ~one, np.ones_like(one), np.zeros_like(one)]
            feeds[value.name or ""] = np.concatenate(both_ways)[:count]
        wanted, found = a.run(feeds), b.run(feeds)
        for name in predicates:
            seen[name] |= {bool(p) for p in np.atleast_1d(wanted.pop(name))}
        worst = max(worst, _worst(wanted, found))
    missed = [name for name, sides in seen.items() if len(sides) < 2]
    if missed:
        raise VerifyError(
            f"no probe reached both sides of {', '.join(missed)}: the lowered file is not proven"
        )
    return Verification(batches, sum(batches), worst, 0, len(predicates))


def _free(reference: Program, lowered: Program, rng: np.random.Generator) -> Verification:
    a, b = Session(reference), Session(lowered)
    inputs = reference.manifest.runtime_inputs
    settings: list[dict[str, np.ndarray]] = [{}]
    if inputs:
        settings += [{e.name: _full(reference, e.name, e.minimum) for e in inputs}]
        settings += [{e.name: _full(reference, e.name, e.maximum) for e in inputs}]
    decisions = [o.name for o in reference.manifest.outputs if o.role == "decision"]
    worst, rows, near, batches = 0.0, 0, 0, []
    for number, setting in enumerate(settings):
        count = 3 if number == 0 else 1
        feeds = {**images(reference, count, rng), **setting}
        wanted, found = a.run(feeds), b.run(feeds)
        same = np.ones(count, bool)
        for name in decisions:
            same &= (wanted[name] == found[name]).reshape(count, -1).all(1)
        kept = [{k: v[same] for k, v in side.items()} for side in (wanted, found)]
        worst = max(worst, _worst(*kept))
        rows, near = rows + count, near + int((~same).sum())
        batches.append(count)
    if near > max(NEAR * rows, 1):
        raise VerifyError(f"the decisions of the lowered file differ in {near} of {rows} rows")
    return Verification(tuple(batches), rows, worst, near, 0)


def _expose_predicates(program: Program) -> list[str]:
    """Makes the predicate of every Select an output; returns their names."""
    selects = [node for node in program.graph if ops.is_select(node)]
    found = dict.fromkeys(node.inputs[0] for node in selects if node.inputs[0] is not None)
    program.graph.outputs.extend(v for v in found if not v.is_graph_output())
    return [v.name or "" for v in found]


def _worst(wanted: Arrays, found: Arrays) -> float:
    worst = 0.0
    for name, array in wanted.items():
        other = found[name]
        if array.shape != other.shape:
            raise VerifyError(
                f"output {name!r} has the shape {other.shape} when lowered, {array.shape} before"
            )
        if not array.size or array.dtype == bool:
            continue
        scale = max(float(np.abs(array).max()), 1e-6)
        difference = float(np.abs(array - other).max()) / scale
        if not difference <= TOLERANCE:
            raise VerifyError(
                f"output {name!r} of the lowered file differs by {difference:.1e} of its scale "
                f"(batch {len(array)}; {TOLERANCE:.0e} is allowed)"
            )
        worst = max(worst, difference)
    return worst


def _full(program: Program, name: str, value: float) -> np.ndarray:
    return np.full_like(program.weight(name), value)
