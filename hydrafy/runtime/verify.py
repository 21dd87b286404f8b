"""Compares a lowered program with its dense reference, on probes that reach every side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from hydrafy.errors import ModelError, VerifyError
from hydrafy.execute.session import Session
from hydrafy.ir.ops import is_gate, is_select
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes import base
from hydrafy.passes.cut import Cut
from hydrafy.passes.force import ForceDecisions
from hydrafy.passes.lower.inference import DropTraining

TOLERANCE = 1e-4  # of an output's scale, float32; also how far rounding may move a score
ROWS = 64  # rows of made-up scores on which the gates of both forms must agree to the bit

Arrays = Mapping[str, np.ndarray]
Feeds = dict[str, np.ndarray]


@dataclass(frozen=True)
class Verification:
    """What a comparison found.

    Attributes:
        batches: the batch sizes that whole networks were run on.
        rows: images compared, over all probes.
        worst: the largest difference of an output, over its scale.
        near_threshold: images for which rounding of a score flipped a decision.
        reached: predicates that probes made true for some rows and false for others.
        decided: rows of scores for which the gates of both forms decided, and agreed.
    """

    batches: tuple[int, ...]
    rows: int
    worst: float
    near_threshold: int
    reached: int
    decided: int


def verify_lowered(dense: Program, lowered: Program, *, seed: int = 0) -> Verification:
    """Compares the two forms of one dynamic network in onnxruntime, in three steps.

    The flow: with the decisions given, so that every predicate is true in some rows and false in
    others, on batches of 4, 1 and 0. The gates: with the scores given, ties and scores equal to
    the threshold among them, for many settings of the run-time inputs; they must agree exactly.
    The whole: images in, with the run-time inputs at their defaults, at both ends of their range
    and in between; scores and outputs must agree, and a decision may differ only where the scores
    of both forms lie on different sides of it, that is, by rounding.

    Raises:
        VerifyError: an output or a score differs by more than 1e-4 of its scale, a decision
            differs, a predicate was not reached both ways, or a form does not run.
    """
    reference = base.run(dense.clone(), [DropTraining()])
    rng = np.random.default_rng(seed)
    try:
        flow = Session(base.run(reference.clone(), [ForceDecisions()]))
        gates = [_Gate.of(node, reference, lowered) for node in reference.graph if is_gate(node)]
        reached, worst = _flow(reference, lowered, rng)
        decided = sum(_decide(gate, reference, rng) for gate in gates)
        rows, near, most = _whole(reference, lowered, flow, gates, rng)
    except ModelError as error:  # the input was fine: this is ours
        raise VerifyError(f"the lowered file cannot be proven: {error}") from error
    batches = (*FORCED, *(len(r) for r in rows))
    return Verification(batches, sum(batches), max(worst, most), near, reached, decided)


def images(program: Program, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random images for a program's data input: standard normal, float32 [count, C, H, W]."""
    source = program.data_inputs[0]
    shape = (count, *dims(source))
    return {source.name or "": rng.standard_normal(shape).astype(np.float32)}


FORCED = (4, 1, 0)  # batch sizes with given decisions


def _flow(reference: Program, lowered: Program, rng: np.random.Generator) -> tuple[int, float]:
    """The number of predicates that were reached both ways, and the worst difference."""
    dense = base.run(reference.clone(), [ForceDecisions()])
    predicates = _expose_predicates(dense)
    a, b = Session(dense), Session(base.run(lowered.clone(), [ForceDecisions()]))
    decisions = _outputs(reference, "decision")
    seen = {name: set[bool]() for name in predicates}
    worst = 0.0
    for count in FORCED:
        feeds = images(reference, count, rng)
        for value in (v for v in reference.graph.outputs if v.name in decisions):
            one = rng.random((1, *dims(value))) < 0.5
            both_ways = [one, ~one, np.ones_like(one), np.zeros_like(one)]
            feeds[value.name or ""] = np.concatenate(both_ways)[:count]
        wanted, found = a.run(feeds) if count else _nothing(dense), b.run(feeds)
        for name in predicates:
            seen[name] |= {bool(p) for p in np.atleast_1d(wanted.pop(name))}
        worst = max(worst, _worst(wanted, found))
    missed = [name for name, sides in seen.items() if len(sides) < 2]
    if missed:
        raise VerifyError(
            f"no probe reached both sides of {', '.join(missed)}: the lowered file is not proven"
        )
    return len(predicates), worst


@dataclass(frozen=True)
class _Gate:
    """A gate alone, in both forms: scores [N, gates] and run-time inputs in, a decision out."""

    scores: str
    decision: str
    width: int
    dense: Session
    lowered: Session

    @staticmethod
    def of(node: ir.Node, reference: Program, lowered: Program) -> _Gate:
        source = node.inputs[0]
        assert source is not None
        scores, decision = source.name or "", node.outputs[0].name or ""
        if not {scores, decision} <= set(lowered.values()):
            raise VerifyError(
                f"gate {decision!r} lies within a region of the lowered file: it cannot be proven"
            )
        alone = [Cut((scores,), (decision,))]
        sessions = [Session(base.run(p.clone(), alone)) for p in (reference, lowered)]
        return _Gate(scores, decision, dims(source)[0], sessions[0], sessions[1])


def _decide(gate: _Gate, reference: Program, rng: np.random.Generator) -> int:
    """Lets both forms of a gate decide on made-up scores; returns the number of rows."""
    scores = rng.random((ROWS, gate.width)).astype(np.float32)
    scores[::2] = np.round(scores[::2] * 8) / 8  # ties
    values = [*np.quantile(scores, [0.25, 0.5, 0.75]), scores[0, 0], scores[1, 0]]
    settings: list[Feeds] = [{}]
    for entry in reference.manifest.runtime_inputs:
        values += [entry.minimum, entry.maximum]
        settings += [{entry.name: _full(reference, entry.name, v)} for v in values]
        settings += [{entry.name: scores[:, :1]}, {entry.name: scores}, {entry.name: scores[:1]}]
    for setting in settings:
        feeds = {gate.scores: scores, **setting}
        wanted = gate.dense.run(feeds, [gate.decision])[gate.decision]
        found = gate.lowered.run(feeds, [gate.decision])[gate.decision]
        wrong = int((wanted != found).reshape(ROWS, -1).any(1).sum())
        if wrong:
            at = ", ".join(f"{k}={v.flat[0]:g}" for k, v in setting.items()) or "the defaults"
            raise VerifyError(
                f"the decisions {gate.decision!r} of the lowered file differ in {wrong} of {ROWS} "
                f"rows of scores, at {at}"
            )
    return ROWS * len(settings)


def _whole(
    reference: Program,
    lowered: Program,
    flow: Session,
    gates: list[_Gate],
    rng: np.random.Generator,
) -> tuple[list[np.ndarray], int, float]:
    """Images in, outputs out: the batches that were run, flipped rows, the worst difference."""
    names = tuple(gate.scores for gate in gates)
    scored = Session(base.run(reference.clone(), [Cut((), names)])) if gates else None
    outputs = tuple(v.name or "" for v in lowered.graph.outputs)
    full = Session(base.run(lowered.clone(), [Cut((), (*outputs, *names))]))
    decisions = _outputs(reference, "decision")
    entries = reference.manifest.runtime_inputs
    settings: list[Feeds] = [{}]
    for share in (0.0, 0.5, 1.0) if entries else ():
        middle = {e.name: e.minimum + share * (e.maximum - e.minimum) for e in entries}
        settings.append({k: _full(reference, k, v) for k, v in middle.items()})
    batches, near, worst = [], 0, 0.0
    for number, setting in enumerate(settings):
        pictures = images(reference, 3 if number == 0 else 1, rng)
        found = full.run({**pictures, **setting})
        scores = scored.run(pictures) if scored is not None else {}
        worst = max(worst, _worst(scores, found))
        flipped = np.zeros(len(next(iter(pictures.values()))), bool)
        for gate in gates:
            own = gate.dense.run({gate.scores: found[gate.scores], **setting})[gate.decision]
            if (own != found[gate.decision]).any():
                raise VerifyError(f"the decisions {gate.decision!r} do not follow from the scores")
            wanted = gate.dense.run({gate.scores: scores[gate.scores], **setting})[gate.decision]
            flipped |= (own != wanted).reshape(len(flipped), -1).any(1)
        given = {name: found[name] for name in decisions}
        worst = max(worst, _worst(flow.run({**pictures, **given}), found))
        near += int(flipped.sum())
        batches.append(flipped)
    return batches, near, worst


def _nothing(program: Program) -> dict[str, np.ndarray]:
    """What a program computes of an empty batch; onnxruntime cannot run every dense one on it."""
    arrays = {}
    for value in program.graph.outputs:
        assert value.dtype is not None
        arrays[value.name or ""] = np.zeros((0, *dims(value)), value.dtype.numpy())
    return arrays


def _outputs(program: Program, role: str) -> list[str]:
    names = [v.name or "" for v in program.graph.outputs]
    return [name for name in names if program.manifest.role(name) == role]


def _expose_predicates(program: Program) -> list[str]:
    """Makes the predicate of every Select an output; returns their names."""
    selects = [node for node in program.graph if is_select(node)]
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
