"""The dial: one number that closes gates everywhere alike, those of exits left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from hydrafy.analysis.bounds import bound
from hydrafy.analysis.exits import exits
from hydrafy.analysis.predication.need import alive
from hydrafy.ir import ops
from hydrafy.ir.manifest import RuntimeInput
from hydrafy.ir.program import Program
from hydrafy.train.data import Array

Settings = Mapping[str, Array]
"""Values of run-time inputs, float32 [1, columns] each."""


@dataclass(frozen=True, eq=False)
class Knob:
    """A run-time input that gates of blocks or branches read.

    Attributes:
        entry: what the manifest says of it.
        columns: those that such gates read.
        gates: the gates.
        default: all of its columns, [1, columns].
    """

    entry: RuntimeInput
    columns: tuple[int, ...]
    gates: tuple[ir.Node, ...]
    default: Array

    @property
    def opened(self) -> float:
        """The value at which gates let run what they may."""
        entry = self.entry
        return entry.minimum if entry.neutral is None else entry.neutral

    def at(self, value: float) -> Array:
        """The run-time input with that value in the knob's columns."""
        row = self.default.copy()
        row[:, self.columns] = value
        return row


def knobs(program: Program) -> tuple[Knob, ...]:
    """The knobs of a dynamic program, in the order of its run-time inputs."""
    leaving = {one.gate for one in exits(program).early}
    needed = alive(program)
    found: dict[str, tuple[set[int], list[ir.Node]]] = {}
    for node in program.graph:
        if node in needed and ops.is_gate(node) and node not in leaving:
            read = bound(program, node)
            if read is not None:
                columns, gates = found.setdefault(read.name, (set(), []))
                columns.update(read.columns)
                gates.append(node)
    entries = (entry for entry in program.manifest.runtime_inputs if entry.name in found)
    return tuple(
        Knob(entry, tuple(sorted(columns)), tuple(gates), program.weight(entry.name))
        for entry in entries
        for columns, gates in [found[entry.name]]
    )


@dataclass(frozen=True, eq=False)
class Dial:
    """All knobs, turned together.

    Attributes:
        knobs: what it turns.
        scores: for each of them what its gates would let run when they are open: the scores of
            these choices for all images, ascending, float32.
    """

    knobs: tuple[Knob, ...]
    scores: tuple[Array, ...]

    def at(self, level: float) -> dict[str, Array]:
        """The settings that close a share of what runs when gates are open.

        Args:
            level: the share; with 0 all gates are open, with 1 they are as closed as can be.
        """
        return {
            knob.entry.name: knob.at(_between(knob, scores, level))
            for knob, scores in zip(self.knobs, self.scores, strict=True)
        }


def opened(knobs: Sequence[Knob]) -> dict[str, Array]:
    """The settings that open all gates."""
    return {knob.entry.name: knob.at(knob.opened) for knob in knobs}


def _between(knob: Knob, scores: Array, level: float) -> float:
    """A threshold that a share of the scores is below, in the middle between two of them."""
    place = round(level * len(scores))
    if place == 0:
        return knob.opened
    if place == len(scores):
        return knob.entry.maximum
    return float((scores[place - 1] + scores[place]) / 2)
