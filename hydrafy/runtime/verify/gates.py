"""Gates alone: with scores given, both forms must decide alike, to the bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.predication.inlined import Inlined, inlined
from hydrafy.analysis.rows import is_batched
from hydrafy.errors import VerifyError
from hydrafy.execute.session import Session
from hydrafy.ir.ops import function, is_gate
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant, dims
from hydrafy.passes import base
from hydrafy.passes.cut import Cut
from hydrafy.passes.lift import Lift
from hydrafy.runtime.verify.compare import LEAST, Array, Feeds
from hydrafy.runtime.verify.rows import Rows

ROWS = 64  # of made-up scores
APART = np.float32(1.001)


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
        """The gate that a node is; `program` has the gates of a network, apart from the rest."""
        scores, decision = _ends(node)
        (width,) = dims(program.values()[scores])
        alone = base.run(program.clone(), [Cut((), (decision,))])
        return Gate(node, scores, decision, width, Session(alone), alone)

    @property
    def unit(self) -> float:
        """The least scale that errors of scores are measured by.

        Log-odds may all be near 0, being differences of larger logits. An error of 1e-4 in them is
        one of 2.5e-5 in a probability, at most.
        """
        return 1.0 if self.node.op_type == "GumbelGate" else LEAST

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
    nodes = [node for node in program.graph if is_gate(node)]
    pairs = [_ends(node) for node in nodes]
    alone = _apart(program, pairs)
    return [Gate.of(node, alone) for node in nodes]


def decide(found: list[Gate], reference: Program, other: Program, rng: np.random.Generator) -> int:
    """Lets both forms of each gate decide on made-up scores; returns the number of rows.

    A gate within a region of the other form is lifted out of it, and its threshold is given to it
    directly: how a threshold gets there is seen when images are run.

    Raises:
        VerifyError: they disagree, or the other form lacks a gate.
    """
    sites, there, main = inlined(other), set(other.values()), other.graph
    outer = [
        gate
        for gate in found
        if {gate.scores, gate.decision} <= there
        and ((site := sites.get(gate.node.name or "")) is None or _is_direct(site, main))
    ]
    apart = _apart(other, [(gate.scores, gate.decision) for gate in outer])
    total = 0
    for gate in found:
        if gate in outer:
            twin = base.run(apart.clone(), [Cut((), (gate.decision,))])
            total += _agree(gate, Rows(Session(twin)), _settings(gate, reference, rng))
        elif (site := sites.get(gate.node.name or "")) is not None:
            total += _lifted(gate, reference, other, site, rng)
        elif gate.decision in there or _has_nodes(other, f"{gate.node.name}."):
            raise VerifyError(f"the other file has no gate {gate.decision!r}: it is not proven")
    return total  # a gate that is gone made no difference: its decisions were given both ways


def _has_nodes(program: Program, beginning: str) -> bool:
    return any((node.name or "").startswith(beginning) for node in program.graph.all_nodes())


def _is_direct(site: Inlined, main: ir.Graph) -> bool:
    """Whether a gate stands in the main graph, and reads run-time inputs as they are given."""
    others = [value for formal, value in site.inputs.items() if formal != "scores"]
    return site.decision.graph is main and all(
        value.is_graph_input() or value.is_initializer() for value in others
    )


def _lifted(
    gate: Gate, reference: Program, other: Program, site: Inlined, rng: np.random.Generator
) -> int:
    """Compares a gate with its twin within a region, every input of both being free."""
    formals = [v.name or "" for v in function(gate.node.op_type).inputs]
    mine = [v.name or "" for v in gate.node.inputs if v is not None]
    theirs = {site.inputs[formal].name or "": formal for formal in formals}
    nodes = tuple(n.name or "" for n in site.nodes)
    one = Lift((gate.node.name or "",), dict(zip(mine, formals, strict=True)), gate.decision)
    two = Lift(nodes, theirs, site.decision.name or "")
    program, twin = (
        base.run(Program(p.model, p.manifest), [lift])
        for p, lift in ((reference, one), (other, two))
    )
    lone = Gate(gate.node, formals[0], gate.decision, gate.width, Session(program), program)
    return _agree(lone, Rows(Session(twin)), _thresholds(formals[1:], *_scores(gate, rng)))


def _ends(node: ir.Node) -> tuple[str, str]:
    """The names of a gate's scores and of its decision."""
    source = node.inputs[0]
    assert source is not None
    return source.name or "", node.outputs[0].name or ""


def _apart(program: Program, pairs: list[tuple[str, str]]) -> Program:
    """All gates of these scores and decisions, without the network that they stand in."""
    scores = tuple(dict.fromkeys(one for one, _ in pairs))
    return base.run(program.clone(), [Cut(scores, tuple(two for _, two in pairs))])


def _agree(gate: Gate, twin: Rows, settings: list[Feeds]) -> int:
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
    fixed = constant(gate.node.inputs[1])
    if fixed is not None:
        scores[1::8] = fixed
    return scores, [*np.quantile(scores, [0.25, 0.5, 0.75]), scores[0, 0], scores[1, 0]]


def _settings(gate: Gate, reference: Program, rng: np.random.Generator) -> list[Feeds]:
    """Scores, and a run-time input that the gate reads at many values: one for all, one a row."""
    scores, values = _scores(gate, rng)
    shown = scores
    if gate.node.op_type == "GumbelGate":
        # Its scores are log-odds, its bounds are made of probabilities, and a logarithm's last bit
        # depends on where in memory a number lies: no score equals a bound.
        with np.errstate(divide="ignore"):
            shown = APART * (np.log(scores) - np.log1p(-scores) + 1)
    taken = {v.name: is_batched(v) for v in gate.program.graph.inputs}
    found: list[Feeds] = [{}]
    for entry in reference.manifest.runtime_inputs:
        if entry.name not in taken:
            continue
        like = reference.weight(entry.name)
        ends = [entry.minimum, entry.maximum]
        found += [{entry.name: np.full_like(like, v)} for v in [*values, *ends]]
        if taken[entry.name]:
            columns = like.shape[-1] if like.shape[-1] > 1 else gate.width
            wide = np.resize(scores, (ROWS, columns))
            found += [{entry.name: s} for s in (wide[:, :1], wide, wide[:1])]
    return [{gate.scores: shown, **setting} for setting in found]


def _thresholds(names: list[str], scores: Array, values: list[float]) -> list[Feeds]:
    """The same with every input of the gate free."""
    arrays = [np.full((1, 1), v, np.float32) for v in [0.0, *values, 1.0]]
    arrays += [scores[:, :1], scores, scores[:1]]
    return [{"scores": scores, **dict.fromkeys(names, array)} for array in arrays]
