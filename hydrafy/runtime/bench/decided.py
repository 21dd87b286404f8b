"""What a dynamic network decides for images: every predicate, whoever makes the decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hydrafy.analysis.predication.executed import Conditions
from hydrafy.analysis.predication.predicates import Predicate, predicate
from hydrafy.execute.session import Session
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.cut import Cut
from hydrafy.runtime.batched import NOTHING, batched
from hydrafy.train.data import Array


@dataclass(frozen=True, eq=False)
class Decided:
    """Predicates of some images, and what they are read from.

    Attributes:
        predicates: of all Selects, each once.
        rows: whether they hold, bool [images, predicates].
        found: the tensors that they are read from, by name.
    """

    predicates: tuple[Predicate, ...]
    rows: Array
    found: Mapping[str, Array]

    def of(self, row: int) -> dict[str, Array]:
        """The decision for one image, as `Specialise` takes it."""
        return {p.name: self.rows[row, i] for i, p in enumerate(self.predicates)}

    def met(self, conditions: Conditions) -> Array:
        """For which of the images all of some conditions are met: bool [images]."""
        number = {p.name: i for i, p in enumerate(self.predicates)}
        met = np.ones(len(self.rows), bool)
        for condition in conditions:
            met &= self.rows[:, number[condition.predicate.name]] == condition.holds
        return met


def predicates(program: Program) -> tuple[Predicate, ...]:
    """The predicates of a dynamic program's Selects, each once, in the order of the nodes."""
    values = (node.inputs[0] for node in program.graph if ops.is_select(node))
    return tuple(dict.fromkeys(predicate(value) for value in values if value is not None))


def decide(
    program: Program,
    images: Array,
    feeds: Mapping[str, Array],
    each: Mapping[str, Array] = NOTHING,
) -> Decided:
    """Runs a dynamic program, and watches what it decides.

    Args:
        program: a dynamic one.
        images: [N, C, H, W].
        feeds: values of run-time inputs.
        each: such with a row for each image.

    Raises:
        ModelError: onnxruntime cannot run the program.
    """
    asked = predicates(program)
    given = program.graph.initializers
    read = tuple(dict.fromkeys(v for p in asked for v in p.values if v not in given))
    found: dict[str, Array] = {}
    if read:
        probe = base.run(program.clone(), [Cut((), read)])
        left = {v.name for v in probe.graph.inputs}
        used, own = ({n: a for n, a in some.items() if n in left} for some in (feeds, each))
        found = batched(Session(probe), program, images, used, read, each=own)
    for value in (v for p in asked for v in p.values if v in given):
        found[value] = {**feeds, **each}.get(value, program.weight(value))  # a run-time input
    return Decided(asked, _rows(asked, found, len(images)), found)


def forced(program: Program, decisions: Mapping[str, Array]) -> Decided | None:
    """What follows from given decisions; None where a predicate is more than a part of one.

    Args:
        program: a dynamic one.
        decisions: bool [N, choices], by the names of the outputs.
    """
    asked = predicates(program)
    if not decisions or any(v not in decisions for p in asked for v in p.values):
        return None
    count = len(next(iter(decisions.values())))
    return Decided(asked, _rows(asked, decisions, count), decisions)


def _rows(asked: tuple[Predicate, ...], found: Mapping[str, Array], count: int) -> Array:
    columns = [np.broadcast_to(p.of(found).reshape(-1), count) for p in asked]
    return np.stack(columns, axis=1)
