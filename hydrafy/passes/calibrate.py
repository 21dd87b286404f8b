"""Writes chosen thresholds into a program, as the defaults of its run-time inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hydrafy.ir.manifest import Rate
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True, eq=False)
class SetThresholds(Pass):
    """Run-time inputs get other defaults, and predicates of exits the rates that follow.

    Args:
        values: the new defaults by name, float32, in the shape of the old ones.
        rates: how often predicates hold, of the images that get to them.
        why: a sentence for the journal.
    """

    name: ClassVar[str] = "calibrate"
    values: Mapping[str, np.ndarray]
    rates: Mapping[str, float]
    why: str

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        notes = [self.why]
        for name, array in self.values.items():
            before = program.weight(name)
            program.set_weight(name, array.astype(before.dtype).reshape(before.shape))
            notes.append(f"{name} = {_numbers(array)}, before {_numbers(before)}")
        rates = (
            Rate(rate.predicate, self.rates.get(rate.predicate, rate.share))
            for rate in program.manifest.rates
        )
        program.manifest = dataclasses.replace(program.manifest, rates=tuple(rates))
        return notes


def _numbers(array: np.ndarray) -> str:
    """The numbers of a row; one where all are the same."""
    numbers = [f"{number:.4g}" for number in array.ravel()]
    return numbers[0] if len(set(numbers)) == 1 else ", ".join(numbers)
