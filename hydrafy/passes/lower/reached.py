"""Lets decisions that are outputs be made only for the samples that get to them."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.predication.places import Place, Places
from hydrafy.analysis.predication.predicates import ASKED
from hydrafy.ir import build, ops
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class TellReached(Pass):
    """The output of a gate that lies under sides of Selects becomes a choice by their predicates.

    It tells False of a sample that never reached the gate. As an output the decision itself would
    keep its gate, and all that leads to it, outside of every region.
    """

    name: ClassVar[str] = "tell-reached"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, notes = program.graph, []
        for number, place in reached(program).items():
            value = graph.outputs[number]
            told = _chosen(graph, value, place)
            name, value.name = value.name, f"{value.name}{ASKED}"
            told.name, graph.outputs[number] = name, told
            notes.append(f"{name!r} is told of samples that get there")
        program.manifest = dataclasses.replace(program.manifest, stage="regions")
        if notes:
            graph.sort()
        return notes


def reached(program: Program) -> dict[int, Place]:
    """Outputs, by number, that are decisions of gates under sides of Selects, and these sides."""
    role, places, found = program.manifest.role, Places.of(program), dict[int, Place]()
    for number, value in enumerate(program.graph.outputs):
        gate = value.producer()
        if gate is None or role(value.name or "") != "decision" or not value.uses():
            continue
        place = places.nodes.get(gate, ())
        if place and all(len(side.needs) == 1 for side in place):
            found[number] = place
    return found


def _chosen(graph: ir.Graph, value: ir.Value, place: Place) -> ir.Value:
    """A decision where all sides of a place are taken, False elsewhere."""
    never = build.weight(graph, f"{value.name}.never", np.array(False))
    found = value
    for depth, side in enumerate(reversed(place)):
        ((predicate, holds),) = side.needs
        sides = [found, never] if holds else [never, found]
        select = build.op(
            "Select", [predicate, *sides], f"{value.name}.told.{depth}", domain=ops.DOMAIN
        )
        out = select.outputs[0]
        out.shape, out.type = value.shape, value.type
        graph.append(select)
        found = out
    return found
