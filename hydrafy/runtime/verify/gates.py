"""Gates alone: with scores given, both forms must decide alike, to the bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.inlined import inlined
from hydrafy.analysis.rows import is_batched
from hydrafy.errors import VerifyError
from hydrafy.execute.session import Session
from hydrafy.ir.ops import function, is_gate
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes import base
from hydrafy.passes.cut import Cut
from hydrafy.passes.lift import Lift
from hydrafy.runtime.verify.compare import Array, Feeds

ROWS = 64  # of made-up scores


@dataclass(frozen=True, eq=False)
class Gate:
    """A gate of the dense form, alone: scores [N, width] and run-time inputs in, a decision out."""

    node: ir.Node
    scores: str
    decision: str
    width: int
    session: Session
    program: Program

    @staticmethod
    def of(node: ir.Node, program: Program) -> Gate:
        """The gate that a node of a dynamic program is."""
        source = node.inputs[0]
        assert source is not None
        scores, decision = source.name or "", node.outputs[0].name or ""
        alone = base.run(program.clone(), [Cut((scores,), (decision,))])
        return Gate(node, scores, decision, dims(source)[-1], Session(alone), alone)

    def decide(self, scores: Array, setting: Feeds) -> Array:
        """What it decides, with run-time inputs where it reads them."""
        taken = {v.name for v in self.program.graph.inputs}
        given = {k: v for k, v in setting.items() if k in taken}
        return self.session.run({self.scores: scores, **given})[self.decision]

    def may_decide(self, decision: Array, scores: Array, setting: Feeds, error: float) -> Array:
        """Bool [N]: whether an error of this size in the scores can explain a decision.

        A gate is the likelier to choose something the higher its score and the lower the others.
        """
        possible = np.ones(len(scores), bool)
        for column in range(self.width):
            shift = np.full(self.width, -error, np.float32)
            shift[column] = error
            most = self.decide(scores + shift, setting)[:, column]
            least = self.decide(scores - shift, setting)[:, column]
            possible &= (least <= decision[:, column]) & (decision[:, column] <= most)
        return possible


def gates(program: Program) -> list[Gate]:
    """The gates of a dynamic program."""
    return [Gate.of(node, program) for node in program.graph if is_gate(node)]


def decide(gate: Gate, reference: Program, other: Program, rng: np.random.Generator) -> int:
    """Lets both forms of a gate decide on made-up scores; returns the number of rows.

    A gate within a region of the other form is lifted out of it, and its threshold is given to it
    directly: how a threshold gets there is seen when images are run.

    Raises:
        VerifyError: they disagree, or the other form has no such gate.
    """
    inlined_ = inlined(other).get(gate.node.name or "")
    if {gate.scores, gate.decision} <= set(other.values()) and (
        inlined_ is None or inlined_.decision.graph is other.graph
    ):
        twin = base.run(other.clone(), [Cut((gate.scores,), (gate.decision,))])
        return _agree(gate, Session(twin), _settings(gate, reference, rng))
    if inlined_ is None:
        raise VerifyError(f"the other file has no gate {gate.decision!r}: it cannot be proven")
    formals = [v.name or "" for v in function(gate.node.op_type).inputs]
    mine = [v.name or "" for v in gate.node.inputs if v is not None]
    theirs = {inlined_.inputs[formal].name or "": formal for formal in formals}
    nodes = tuple(n.name or "" for n in inlined_.nodes)
    lift = Lift(nodes, theirs, inlined_.decision.name or "")
    own = Lift((gate.node.name or "",), dict(zip(mine, formals, strict=True)), gate.decision)
    program = base.run(reference.clone(), [own])
    lone = Gate(gate.node, formals[0], gate.decision, gate.width, Session(program), program)
    settings = _thresholds(formals[1:], *_scores(gate, rng))
    return _agree(lone, Session(base.run(other.clone(), [lift])), settings)


def _agree(gate: Gate, twin: Session, settings: list[Feeds]) -> int:
    for setting in settings:
        wanted = gate.session.run(setting)[gate.decision]
        found = next(iter(twin.run(setting).values()))
        wrong = int((wanted != found).reshape(len(wanted), -1).any(1).sum())
        if wrong:
            at = ", ".join(f"{k}={v.flat[0]:g}" for k, v in setting.items() if k != gate.scores)
            raise VerifyError(
                f"the decisions {gate.node.outputs[0].name!r} of the lowered file differ in "
                f"{wrong} of {len(wanted)} rows of scores, at {at or 'the defaults'}"
            )
    return ROWS * len(settings)


def _scores(gate: Gate, rng: np.random.Generator) -> tuple[Array, list[float]]:
    """Scores with ties, and thresholds of which some equal scores."""
    scores = rng.random((ROWS, gate.width)).astype(np.float32)
    scores[::2] = np.round(scores[::2] * 8) / 8  # ties
    return scores, [*np.quantile(scores, [0.25, 0.5, 0.75]), scores[0, 0], scores[1, 0]]


def _settings(gate: Gate, reference: Program, rng: np.random.Generator) -> list[Feeds]:
    """Scores, and a run-time input that the gate reads at many values: one for all, one a row."""
    scores, values = _scores(gate, rng)
    taken = {v.name: is_batched(v) for v in gate.program.graph.inputs}
    found: list[Feeds] = [{}]
    for entry in reference.manifest.runtime_inputs:
        if entry.name not in taken:
            continue
        like = reference.weight(entry.name)
        ends = [entry.minimum, entry.maximum]
        found += [{entry.name: np.full_like(like, v)} for v in [*values, *ends]]
        if taken[entry.name]:
            found += [{entry.name: s} for s in (scores[:, :1], scores, scores[:1])]
    return [{gate.scores: scores, **setting} for setting in found]


def _thresholds(names: list[str], scores: Array, values: list[float]) -> list[Feeds]:
    """The same with every input of the gate free."""
    arrays = [np.full((1, 1), v, np.float32) for v in [0.0, *values, 1.0]]
    arrays += [scores[:, :1], scores, scores[:1]]
    return [{"scores": scores, **dict.fromkeys(names, array)} for array in arrays]
