"""Inline subnetwork collaboration: an answer builds on the one before it.

Source: Improved Techniques for Training Adaptive Deep Networks (2019), Section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.answers import answers, last_layer
from hydrafy.analysis.layers import channels
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.passes import fresh
from hydrafy.passes.base import Pass
from hydrafy.passes.fresh import Place, behind
from hydrafy.passes.outputs import take_over

Path = Literal["identity", "learned"]


@dataclass(frozen=True)
class Collaborate(Pass):
    """The logits z of each answer but the first become z + LastPhase(path(z of the one before)).

    The paper has it in its second phase only, where last layers alone are trained; LastPhase makes
    it so whatever the schedule. A fresh learned path gives zeros, so that it changes nothing.

    Args:
        path: `identity`, with which a classifier learns what the one before it left over; or
            `learned`: W Relu(BatchNormalization(a linear layer, as wide as the features)), which is
            what a classifier over features and that vector, one behind the other, adds for it.
        stop: whether no gradient flows back along the path, as the paper has it and its released
            code has not.
        seed: of the weights.
    """

    name: ClassVar[str] = "collaborate"
    path: Path = "identity"
    stop: bool = True
    seed: int = 0

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: an answer does not come from a fully connected layer.
        """
        graph, found = program.graph, answers(program)
        rng, before = np.random.default_rng(self.seed), found[0].logits
        for number, one in enumerate(found[1:], start=1):
            own, readers = one.logits, list(one.logits.uses())
            place = Place(graph, behind(graph, own), f"exits.{number}.transfer", rng)
            known = place.put("StopGradient", [before], "known") if self.stop else before
            if self.path == "learned":
                features = last_layer(own)[-1].inputs[0]
                assert features is not None
                known = _learned(place, known, channels(features))
            before = place.put("Add", [own, place.put("LastPhase", [known], "late")], "sum")
            for use in readers:
                use.node.replace_input_with(use.idx, before)
            take_over(graph, own, before, build.free(graph, f"exits.{number}.own"))
        graph.sort()  # a file may have its last classifier first
        return [f"{len(found) - 1} answers build on the one before ({self.path})"]


def _learned(place: Place, known: ir.Value, width: int) -> ir.Value:
    """What another answer adds [N, classes] for logits; fresh it is zeros."""
    classes = channels(known)
    hidden = fresh.linear(place, known, "hidden", 1 / np.sqrt(classes), np.zeros(width))
    return fresh.linear(place, fresh.normed(place, hidden), "logits", 0.0, np.zeros(classes))
