"""Thresholds of exits as the run-time inputs that the network has them in, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hydrafy.analysis.exits import Exit, exits
from hydrafy.errors import ModelError
from hydrafy.ir.manifest import RuntimeInput
from hydrafy.ir.program import Program
from hydrafy.runtime.calibrate.table import Table
from hydrafy.train.data import Array


@dataclass(frozen=True)
class Slot:
    """Where the threshold of an exit stands.

    Attributes:
        entry: what the manifest says of the run-time input.
        column: of it.
        leaves: whether samples leave that reach the threshold, or those that do not.
    """

    entry: RuntimeInput
    column: int
    leaves: bool

    @property
    def nobody(self) -> float:
        """The value with which nobody leaves."""
        entry = self.entry
        if entry.neutral is not None:
            return entry.neutral
        return entry.maximum if self.leaves else entry.minimum

    @property
    def everybody(self) -> float:
        """The value with which all leave."""
        return self.entry.minimum if self.leaves else self.entry.maximum

    def value(self, threshold: float, scores: Array) -> float:
        """The number in the run-time input that does what a threshold of a table does.

        It is in the middle between the last score that reaches the threshold and the next one, so
        that rounding elsewhere changes nothing.

        Args:
            threshold: of a table, at or over which images leave.
            scores: of the table's images at the exit.
        """
        over, under = scores[scores >= threshold], scores[scores < threshold]
        if threshold == np.inf:
            return self.nobody
        if not len(under) or not len(over):
            return self.nobody if len(under) else self.everybody
        reached, missed = over.min(), under.max()
        middle = np.float32((reached + missed) / 2)
        if self.leaves:
            return float(middle if middle > missed else reached)
        return float(-middle if -middle > -reached else -missed)

    def threshold(self, value: float) -> float:
        """The threshold of a table that does what a number in the run-time input does."""
        if value in (self.nobody, self.everybody):
            return np.inf if value == self.nobody else -np.inf
        return value if self.leaves else float(np.nextafter(-value, np.inf))


def slots(program: Program) -> tuple[Slot, ...]:
    """Where the thresholds of all early exits stand, in the order of the exits.

    Raises:
        ModelError: an exit has none that could be changed.
    """
    return tuple(_slot(program, one) for one in exits(program).early)


def _slot(program: Program, one: Exit) -> Slot:
    entries = {entry.name: entry for entry in program.manifest.runtime_inputs}
    read = one.threshold
    if read is None or read.name not in entries:
        raise ModelError(
            f"the exit {one.decision.name!r} has no threshold that is a run-time input: convert "
            "the network again"
        )
    return Slot(entries[read.name], read.column(one.column), one.leaves)


def inputs(
    program: Program,
    own: Sequence[Slot],
    gates: Mapping[str, Array],
    thresholds: Array,
    table: Table,
) -> dict[str, Array]:
    """All run-time inputs that thresholds make, float32 [1, columns].

    Args:
        program: whose defaults stand where nothing else is said.
        own: slots of the exits' thresholds.
        gates: the run-time inputs of gates that are not of exits.
        thresholds: of the table, one for each exit.
        table: what they were chosen on.
    """
    found = {name: row.copy() for name, row in gates.items()}
    for number, slot in enumerate(own):
        name = slot.entry.name
        row = found.setdefault(name, program.weight(name).copy())
        row[:, slot.column] = slot.value(float(thresholds[number]), table.scores[:, number])
    return found
