"""What decides at an exit which samples leave there."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import onnx_ir as ir

from hydrafy.ir.manifest import RuntimeInput
from hydrafy.ir.program import Program
from hydrafy.passes.exits.scores import SCORES, Score
from hydrafy.passes.fresh import Place
from hydrafy.passes.gumbel import PLAIN, Gate
from hydrafy.passes.settings import each_column, setting
from hydrafy.passes.thresholds import thresholds

Columns = tuple[ir.Value, range]
"""Thresholds [rows, columns], and which columns are those of the exits."""


class Decision(ABC):
    """A kind of decision. Subclasses are frozen dataclasses of their options.

    Attributes:
        word: the last part of its values' names.
        leaves: whether a sample leaves where it holds, or where it does not.
        gradient: of its Select, into it.
        share: of the samples for which it is expected to hold.
    """

    word: ClassVar[str]
    leaves: ClassVar[bool]
    gradient: ClassVar[Literal["none", "straight_through"]]
    share: float

    def names(self, count: int) -> list[str]:
        """Of the decisions at so many exits."""
        return [f"exits.{number}.{self.word}" for number in range(count)]

    @abstractmethod
    def bounds(self, program: Program, count: int) -> Columns:
        """The thresholds of so many exits, with a new run-time input or new columns of one."""

    @abstractmethod
    def decide(
        self, place: Place, x: ir.Value | None, logits: ir.Value, bounds: Columns, number: int
    ) -> ir.Value:
        """A new decision, bool [N, 1].

        Args:
            place: where it stands.
            x: the image tensor [N, C, H, W] that the exit's classifier reads, where that is known.
            logits: what that makes of it, [N, classes].
            bounds: of all exits.
            number: of this one among them, from 0.
        """


@dataclass(frozen=True)
class Confidence(Decision):
    """How sure the answer is, is at or over a column of the run-time input `tau` [1, exits].

    (Improved Techniques for Training Adaptive Deep Networks, Sections 3 and 4.)

    Args:
        score: how that is measured, a key of `SCORES`: from 0, all classes are alike, to 1.
        tau: the default of all columns.
        share: see `Decision`.
    """

    word: ClassVar[str] = "sure"
    leaves: ClassVar[bool] = True
    gradient: ClassVar[Literal["none", "straight_through"]] = "none"
    NOBODY: ClassVar[float] = 1.1  # is as sure as that
    score: Score = "probability"
    tau: float = 0.9
    share: float = 0.5

    def bounds(self, program: Program, count: int) -> Columns:
        """See the base class."""
        meaning = "samples leave at an exit whose answer is as sure as that"
        entry = RuntimeInput("tau", 0.0, self.NOBODY, self.NOBODY, meaning)
        row = np.full((1, count), self.tau, np.float32)
        tau = setting(program, entry, row, "exits")
        return each_column(program.graph, program.graph[0], tau, count, "exits.bounds"), range(
            count
        )

    def decide(
        self, place: Place, x: ir.Value | None, logits: ir.Value, bounds: Columns, number: int
    ) -> ir.Value:
        """See the base class."""
        tau, columns = bounds
        own = place.weight("columns", [columns[number]], np.int64)
        bound = place.put("Gather", [tau, own], "bound", axis=1)
        return place.put("ThresholdGate", [SCORES[self.score](place, logits), bound], self.word)


CONFIDENT = Confidence()


@dataclass(frozen=True)
class Learned(Decision):
    """A gate of its own says how likely a sample is to need what follows, and learns to.

    Its threshold is a column of the run-time input `tau` that the gates of blocks read, too, behind
    theirs. What it decides is to stay, so that a threshold of 0, which opens every gate, keeps all
    samples to the end. (Probabilistic gates, Section 5 and S2.4, where a gate that is open lets a
    sample leave.)

    Args:
        gate: what it is like.
        tau: a sample that stays with a lower probability leaves.
        share: of the samples that stay.
    """

    word: ClassVar[str] = "stay"
    leaves: ClassVar[bool] = False
    gradient: ClassVar[Literal["none", "straight_through"]] = "straight_through"
    gate: Gate = PLAIN
    tau: float = 0.5
    share: float = 0.5

    def bounds(self, program: Program, count: int) -> Columns:
        """See the base class."""
        meaning = "samples leave at an exit where they stay with a lower probability"
        return thresholds(program, self.tau, count, meaning)

    def decide(
        self, place: Place, x: ir.Value | None, logits: ir.Value, bounds: Columns, number: int
    ) -> ir.Value:
        """See the base class."""
        assert x is not None, "gates look at images"
        bound, columns = bounds
        own = dataclasses.replace(place, path=f"{place.path}.gate")
        stays = self.gate.decide(own, x, bound, columns[number : number + 1])
        node = stays.producer()
        assert node is not None
        node.name = stays.name = f"{place.path}.{self.word}"  # gates are named as what they decide
        return stays
