"""Prunes a dynamic network: what never runs leaves it, and so do gates that have nothing to say."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.analysis.exits import Exit, exits
from hydrafy.analysis.predication.need import alive
from hydrafy.analysis.predication.predicates import predicate
from hydrafy.errors import ModelError, nearest
from hydrafy.ir import ops
from hydrafy.ir.manifest import LossTerm
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass
from hydrafy.passes.lower.inference import DropTraining
from hydrafy.passes.sides import take_sides

Column = tuple[str, int]
"""The name of a decision, and one of its columns."""


@dataclass(frozen=True)
class Prune(Pass):
    """Replaces Selects whose predicates are settled, and drops what nothing needs any more.

    A decision that decided nothing but settled predicates goes, with its gate, its loss terms, its
    rates and the run-time inputs that only it read. One that still decides something is computed
    whole: settled columns of it are read by nobody. Without any Select left the network is static,
    and its recipe is forgotten. (Deep networks with probabilistic gates, Section 4.2.1.)

    Args:
        settled: whether some predicates hold for all images, by name.
        why: what is known of them, for the journal, by name.
    """

    name: ClassVar[str] = "prune"
    settled: Mapping[str, bool]
    why: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: the program has no such predicate.
        """
        if not self.settled:
            return []
        graph = program.graph
        asked = _predicates(graph)
        for name in self.settled:
            if name not in asked.values():
                raise ModelError(f"there is no predicate {name!r}: {nearest(name, asked.values())}")
        steered, needed, before = alive(program, ("prediction",)), alive(program), len(graph)
        columns = _columns(graph)
        early = {one.predicate.name or "": one for one in exits(program).early}
        held = {node: self.settled[p] for node, p in asked.items() if p in self.settled}
        take_sides(program, held)
        _drop_decisions(program, steered)
        _drop_training(program, needed)
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        if not _predicates(graph):
            _make_static(program)
        _drop_settings(program)
        _declare(program, columns - _columns(graph))
        gone = before - len(graph)
        left = alive(program, ("prediction",))
        notes = (self._note(name, early.get(name), left) for name in self.settled)
        return [*notes, f"{gone} nodes went that nothing needs any more"]

    def _note(self, predicate: str, leaving: Exit | None, left: Collection[ir.Node]) -> str:
        held = self.settled[predicate]
        why = f" ({self.why[predicate]})" if predicate in self.why else ""
        result = "nobody asks any more" if held else "what it lets run went"
        if leaving is not None and leaving.leaves is held:
            result = "the network ends there, and what is behind it went"
        elif leaving is not None and leaving.logits.producer() in left:
            result = "no exit any more, but later answers build on its classifier, which stays"
        elif leaving is not None:
            result = "no exit any more, and its classifier went"
        return f"{predicate!r} {'always' if held else 'never'} holds{why}: {result}"


def _predicates(graph: ir.Graph) -> dict[ir.Node, str]:
    """The names of the predicates of Selects."""
    return {
        node: pred.name or ""
        for node in graph
        if ops.is_select(node) and (pred := node.inputs[0]) is not None
    }


def _columns(graph: ir.Graph) -> set[Column]:
    """The columns of decisions that the predicates of Selects are made of."""
    waiting = [
        predicate(pred) for node in graph if ops.is_select(node) and (pred := node.inputs[0])
    ]
    found: set[Column] = set()
    while waiting:
        one = waiting.pop()
        waiting += one.operands
        if one.column is not None:
            found.add((one.value, one.column))
    return found


def _drop_decisions(program: Program, steered: set[ir.Node]) -> None:
    """Drops the decisions that predictions depended on, and now do not."""
    steer = alive(program, ("prediction",))
    for value in list(program.graph.outputs):
        gate = value.producer()
        if program.manifest.role(value.name or "") == "decision" and gate in steered - steer:
            program.graph.outputs.remove(value)


def _drop_training(program: Program, needed: set[ir.Node]) -> None:
    """Drops the training outputs of what inference does not compute any more."""
    left = alive(program)
    for value in list(program.graph.outputs):
        training = program.manifest.role(value.name or "") == "training"
        if training and not left.issuperset(_read_from(value, needed)):
            program.graph.outputs.remove(value)


def _read_from(value: ir.Value, nodes: set[ir.Node]) -> set[ir.Node]:
    """The nearest of some nodes that a value is computed from."""
    found: set[ir.Node] = set()
    seen: set[ir.Node] = set()
    waiting = [value.producer()]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node in nodes:
            found.add(node)
        else:
            waiting += [v.producer() for v in node.inputs if v is not None]
    return found


def _make_static(program: Program) -> None:
    for value in list(program.graph.outputs):
        if program.manifest.role(value.name or "") != "prediction":
            program.graph.outputs.remove(value)
    left = tuple(o for o in program.manifest.outputs if o.role == "prediction")
    program.manifest = dataclasses.replace(
        program.manifest,
        stage="static",
        recipe=None,
        options={},
        partition=(),
        groups={},
        outputs=left,
    )
    DropTraining().apply(program)


def _drop_settings(program: Program) -> None:
    """Drops run-time inputs that nothing reads."""
    graph, manifest = program.graph, program.manifest
    unread = {e.name for e in manifest.runtime_inputs if not graph.initializers[e.name].uses()}
    for name in unread:
        graph.inputs.remove(graph.initializers.pop(name))
    left = tuple(e for e in manifest.runtime_inputs if e.name not in unread)
    program.manifest = dataclasses.replace(manifest, runtime_inputs=left)


def _declare(program: Program, unread: Collection[Column]) -> None:
    """Drops what the manifest says of outputs, predicates, columns and weights that are gone."""
    manifest, asked = program.manifest, set(_predicates(program.graph).values())
    names = {v.name or "" for v in program.graph.outputs}
    terms = (_left(term, names, unread) for term in manifest.losses)
    program.manifest = dataclasses.replace(
        manifest,
        outputs=tuple(o for o in manifest.outputs if o.name in names),
        losses=tuple(term for term in terms if term is not None),
        rates=tuple(rate for rate in manifest.rates if rate.predicate in asked),
        groups={
            group: tuple(name for name in members if name in program.graph.initializers)
            for group, members in manifest.groups.items()
        },
    )


def _left(term: LossTerm, names: Collection[str], unread: Collection[Column]) -> LossTerm | None:
    """What is left of a loss term where only these outputs are; None if nothing is.

    A term of several decisions has what each of their columns weighs, nothing if it is unread. An
    exit that learned from a last one which is gone has its cross entropy.
    """
    if "decisions" not in term.settings:
        if term.settings.get("last", term.output) not in names:
            term = LossTerm(term.name, term.output, term.weight)
        return term if term.output in names else None
    listed = zip(term.settings["decisions"], term.settings["costs"], strict=True)
    kept = {
        name: [0.0 if (name, column) in unread else cost for column, cost in enumerate(costs)]
        for name, costs in listed
        if name in names
    }
    if not kept:
        return None
    output = term.output if term.output in names else next(iter(kept))
    settings = {**term.settings, "decisions": [*kept], "costs": [*kept.values()]}
    return dataclasses.replace(term, output=output, settings=settings)
