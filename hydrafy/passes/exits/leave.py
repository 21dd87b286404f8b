"""Lets samples leave a network at the first of its answers that will do."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.answers import Answer, answers
from hydrafy.errors import ModelError
from hydrafy.ir import build, ops
from hydrafy.ir.manifest import Output, Rate
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass
from hydrafy.passes.exits.decisions import CONFIDENT, Decision
from hydrafy.passes.fresh import Place, behind


@dataclass(frozen=True)
class LeaveEarly(Pass):
    """The last logits become `Select(leave_0, y_0, Select(leave_1, y_1, ... y))`.

    Where a decision is to stay, the sides change places: `Select(stay_0, Select(...), y_0)`. The
    logits of all answers are outputs for training, `exits.0.logits` those of the earliest. Loss
    terms that asked for the last ones go on doing so, unless the decisions are to learn from them.

    Args:
        decision: who leaves.
        seen: names of the image tensors that decisions look at, one for each exit; none where they
            look at logits only.
        seed: of their weights.
    """

    name: ClassVar[str] = "leave-early"
    decision: Decision = CONFIDENT
    seen: tuple[str, ...] = ()
    seed: int = 0

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: there is one answer only, or they are no scores of the same classes.
        """
        graph, found, values = program.graph, answers(program), program.values()
        if len(found) < 2:
            raise ModelError(
                "the network answers once only: attach classifiers first, so that there are exits"
            )
        early, last = found[:-1], found[-1]
        readers, title = list(last.logits.uses()), last.logits.name or ""
        seen = [values[name] for name in self.seen] or itertools.repeat(None, len(early))
        names = [*map(_name, range(len(found))), *self.decision.names(len(early))]
        _make_way(program, names, [one.logits for one in found])
        for number, one in enumerate(found):
            one.logits.name = _name(number)
        bounds = self.decision.bounds(program, len(early))
        rng = np.random.default_rng([self.seed, len(found)])  # other numbers than classifiers have
        decisions, predicates = list[ir.Value](), list[ir.Value]()
        for number, (one, x) in enumerate(zip(early, seen, strict=True)):
            place = Place(graph, behind(graph, one.logits), f"exits.{number}", rng)
            decisions.append(self.decision.decide(place, x, one.logits, bounds, number))
            column = place.weight("column", 0, np.int64)
            predicates.append(place.put("Gather", [decisions[-1], column], "predicate", axis=1))
        chosen = last.logits
        for number, (one, leaves) in reversed([*enumerate(zip(early, predicates, strict=True))]):
            chosen = self._select(graph, leaves, one.logits, chosen, f"exits.{number}.select")
        for use in readers:
            use.node.replace_input_with(use.idx, chosen)
        if last.output is last.logits:
            chosen.name = title
        prediction = chosen if last.output is last.logits else last.output
        self._outputs(program, prediction, found, decisions)
        if self.decision.gradient == "none":
            _follow(program, title, last.logits.name or "")
        graph.sort()
        rates = (Rate(leaves.name or "", self.decision.share) for leaves in predicates)
        manifest = program.manifest
        program.manifest = dataclasses.replace(
            manifest, stage="dynamic", rates=(*manifest.rates, *rates)
        )
        return [f"samples may leave at {len(early)} of {len(found)} answers"]

    def _select(
        self, graph: ir.Graph, predicate: ir.Value, here: ir.Value, rest: ir.Value, name: str
    ) -> ir.Value:
        sides = [here, rest] if self.decision.leaves else [rest, here]
        select = build.op(
            "Select",
            [predicate, *sides],
            name,
            domain=ops.DOMAIN,
            gradient=self.decision.gradient,
        )
        node = rest.producer()
        assert node is not None
        graph.insert_after(node, select)
        return select.outputs[0]

    def _outputs(
        self,
        program: Program,
        prediction: ir.Value,
        found: Sequence[Answer],
        decisions: Sequence[ir.Value],
    ) -> None:
        """The prediction first, then what there was besides, then logits and decisions."""
        graph, manifest = program.graph, program.manifest
        logits = [one.logits for one in found]
        gone = {*(one.output for one in found), *logits}
        others = [value for value in graph.outputs if value not in gone]
        graph.outputs[:] = [prediction, *others, *logits, *decisions]
        known = {value.name for value in (prediction, *others)}
        outputs = (
            *(output for output in manifest.outputs if output.name in known),
            *(Output(value.name or "", "training") for value in logits),
            *(Output(value.name or "", "decision") for value in decisions),
        )
        program.manifest = dataclasses.replace(manifest, outputs=outputs)


def _name(number: int) -> str:
    """Of an answer's logits."""
    return f"exits.{number}.logits"


def _make_way(program: Program, names: Sequence[str], answers: Sequence[ir.Value]) -> None:
    """Renames values that have the names which answers and decisions are going to have.

    They are left of exits that the network had before it was pruned.
    """
    for name in names:
        value = program.values().get(name)
        if value is not None and value not in answers and not value.is_graph_output():
            value.name = build.free(program.graph, name)


def _follow(program: Program, old: str, new: str) -> None:
    """Loss terms of an output that has a new name read it under that."""
    manifest = program.manifest
    losses = (
        dataclasses.replace(term, output=new) if term.output == old else term
        for term in manifest.losses
    )
    program.manifest = dataclasses.replace(manifest, losses=tuple(losses))
