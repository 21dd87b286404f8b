"""Inserts early exits: classifiers on the way, and decisions that let a sample leave there."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.anatomy import anatomy
from hydrafy.analysis.classifier import classifier
from hydrafy.ir import build, ops
from hydrafy.ir.manifest import Output, Rate
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass
from hydrafy.passes.exits.classifiers import LINEAR, Head
from hydrafy.passes.exits.decisions import CONFIDENT, Decision
from hydrafy.passes.fresh import Place


@dataclass(frozen=True, eq=False)
class Exit:
    """An exit that stands.

    Attributes:
        logits: what its classifier says, [N, classes].
        decision: bool [N, 1].
        predicate: the same, [N].
    """

    logits: ir.Value
    decision: ir.Value
    predicate: ir.Value


@dataclass(frozen=True)
class InsertExits(Pass):
    """The logits become `Select(leave_1, y_1, Select(leave_2, y_2, ... y))`.

    Where a decision is to stay, the sides change places: `Select(stay_1, Select(...), y_1)`.

    Args:
        before: names of the stages or blocks before which an exit stands, in any order. That is in
            front of the convolutions that lead to a stage: right behind each block of a DenseNet.
        head: what answers there.
        decision: who leaves.
        seed: of the weights.
    """

    name: ClassVar[str] = "insert-exits"
    before: tuple[str, ...]
    head: Head = LINEAR
    decision: Decision = CONFIDENT
    seed: int = 0

    @property
    def decisions(self) -> list[str]:
        """The names of the outputs that say what was decided, bool [N, 1], one for each exit."""
        return [f"exits.{number}.{self.decision.word}" for number in range(len(self.before))]

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: there is no such stage or block, or no classifier at the end.
        """
        parts, last = anatomy(program), classifier(program)
        cuts, sites = {name: parts.entry(name) for name in self.before}, parts.sites()
        names = [name for name in sites if name in cuts]
        rng, logits, exits = np.random.default_rng(self.seed), last.logits, list[Exit]()
        readers = list(logits.uses())
        for number, name in enumerate(names):
            place = Place(program.graph, sites[name].nodes[0], f"exits.{number}", rng)
            exits.append(self._exit(program, place, cuts[name], last.rows.shape[0]))
        chosen = logits
        for number, one in reversed(list(enumerate(exits))):
            chosen = self._select(program.graph, one, chosen, f"exits.{number}.select")
        for use in readers:
            use.node.replace_input_with(use.idx, chosen)
        if logits.is_graph_output():
            _take_over(program.graph, logits, chosen)
        self._declare(program, exits)
        return [f"an exit before {name}" for name in names]

    def _exit(self, program: Program, place: Place, cut: ir.Value, classes: int) -> Exit:
        logits = self.head.logits(place, cut, classes)
        decision = self.decision.decide(program, place, cut, logits)
        column = place.weight("column", 0, np.int64)
        return Exit(logits, decision, place.put("Gather", [decision, column], "predicate", axis=1))

    def _select(self, graph: ir.Graph, one: Exit, rest: ir.Value, name: str) -> ir.Value:
        sides = [one.logits, rest] if self.decision.leaves else [rest, one.logits]
        select = build.op(
            "Select",
            [one.predicate, *sides],
            name,
            domain=ops.DOMAIN,
            train="mask",
            gradient=self.decision.gradient,
        )
        node = rest.producer()
        assert node is not None
        graph.insert_after(node, select)
        return select.outputs[0]

    def _declare(self, program: Program, exits: list[Exit]) -> None:
        graph, manifest = program.graph, program.manifest
        graph.outputs.extend(value for one in exits for value in (one.logits, one.decision))
        outputs = (
            output
            for one in exits
            for output in (
                Output(one.logits.name or "", "training"),
                Output(one.decision.name or "", "decision"),
            )
        )
        rates = (Rate(one.predicate.name or "", self.decision.share) for one in exits)
        program.manifest = dataclasses.replace(
            manifest,
            stage="dynamic",
            outputs=(*manifest.outputs, *outputs),
            rates=(*manifest.rates, *rates),
        )


def _take_over(graph: ir.Graph, old: ir.Value, new: ir.Value) -> None:
    """Lets a value be an output in the place of another one, under its name."""
    name, old.name = old.name, f"{old.name}.last"
    new.name = name
    for place, value in enumerate(graph.outputs):
        if value is old:
            graph.outputs[place] = new
