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
from hydrafy.passes.fresh import Place
from hydrafy.passes.gumbel import PLAIN, Gate
from hydrafy.passes.settings import setting
from hydrafy.passes.thresholds import thresholds


class Decision(ABC):
    """A kind of decision. Subclasses are frozen dataclasses of their options.

    Attributes:
        leaves: whether a sample leaves where it holds, or where it does not.
        gradient: of its Select, into it.
        share: of the samples for which it is expected to hold.
    """

    leaves: ClassVar[bool]
    gradient: ClassVar[Literal["none", "straight_through"]]
    share: float

    @property
    @abstractmethod
    def word(self) -> str:
        """The last part of its value's name."""

    @abstractmethod
    def decide(self, program: Program, place: Place, x: ir.Value, logits: ir.Value) -> ir.Value:
        """A new decision, bool [N, 1], with its run-time input.

        Args:
            program: what it is for.
            place: where it stands.
            x: the image tensor [N, C, H, W] that the exit's classifier reads.
            logits: what that makes of it, [N, classes].
        """


@dataclass(frozen=True)
class Confidence(Decision):
    """The largest probability is at or over the run-time input `exits.I.tau` [1, 1].

    (Improved Techniques for Training Adaptive Deep Networks, Section 3.1.)

    Args:
        tau: its default.
        share: see `Decision`.
    """

    leaves: ClassVar[bool] = True
    gradient: ClassVar[Literal["none", "straight_through"]] = "none"
    tau: float = 0.9
    share: float = 0.5

    @property
    def word(self) -> str:
        """See the base class."""
        return "sure"

    def decide(self, program: Program, place: Place, x: ir.Value, logits: ir.Value) -> ir.Value:
        """See the base class."""
        softmax = place.put("Softmax", [logits], "probabilities", axis=1)
        axis = place.weight("axis", [1], np.int64)
        score = place.put("ReduceMax", [softmax, axis], "confidence", keepdims=1)
        meaning = "samples leave there whose largest probability reaches it"
        entry = RuntimeInput(f"{place.path}.tau", 0.0, 1.1, 1.1, meaning)
        tau = setting(program, entry, np.full((1, 1), self.tau, np.float32))
        return place.put("ThresholdGate", [score, tau], self.word)


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

    leaves: ClassVar[bool] = False
    gradient: ClassVar[Literal["none", "straight_through"]] = "straight_through"
    gate: Gate = PLAIN
    tau: float = 0.5
    share: float = 0.5

    @property
    def word(self) -> str:
        """See the base class."""
        return "stay"

    def decide(self, program: Program, place: Place, x: ir.Value, logits: ir.Value) -> ir.Value:
        """See the base class."""
        meaning = "samples leave at an exit where they stay with a lower probability"
        bound, columns = thresholds(program, self.tau, 1, meaning)
        own = dataclasses.replace(place, path=f"{place.path}.gate")
        stays = self.gate.decide(own, x, bound, columns)
        node = stays.producer()
        assert node is not None
        node.name = stays.name = f"{place.path}.{self.word}"  # gates are named as what they decide
        return stays
