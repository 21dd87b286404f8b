"""Images leave at the first exit that lets them go, as a dynamic and a lowered file tell it."""

from collections.abc import Callable

import numpy as np
import pytest

from hydrafy.analysis.leaving import leavings, left
from hydrafy.ir.manifest import Leaving
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.exits import InsertExits
from hydrafy.passes.exits.classifiers import LINEAR
from hydrafy.passes.exits.decisions import Confidence, Decision, Learned
from hydrafy.runtime.lower import Lowering, lower_program

Source = Callable[..., Program]


@pytest.mark.parametrize("decision", [Confidence(), Learned()], ids=["confidence", "learned"])
@pytest.mark.parametrize("how", [Lowering(), Lowering(single=True, anytime=True),
                                 Lowering("dense")], ids=["any", "anytime", "dense"])  # fmt: skip
def test_a_lowered_program_knows_who_leaves(
    source: Source, decision: Decision, how: Lowering
) -> None:
    made = base.run(source("resnet8"), [InsertExits(("stage2", "stage3"), LINEAR, decision)])
    found = leavings(made)
    assert found == tuple(Leaving(name, 0, decision.leaves) for name in decision.names(2))
    assert made.manifest.exits == ()
    lowered, _ = lower_program(made, how)
    assert leavings(lowered) == found
    lowered.graph.outputs.pop()
    assert leavings(lowered) == ()  # one of them is told no more


def test_a_network_without_exits_has_nobody_who_leaves(source: Source) -> None:
    gated = base.run(source("resnet8"), [InsertBypass()])
    assert leavings(gated) == leavings(lower_program(gated)[0]) == leavings(source("resnet8")) == ()


def test_images_leave_at_the_first_exit_that_lets_them_go() -> None:
    early = (Leaving("sure", 1, True), Leaving("stay", 0, False))
    found = {
        "sure": np.array([[1, 0], [1, 1], [0, 1], [0, 0]], bool),
        "stay": np.array([[0], [0], [1], [1]], bool),
    }
    assert left(early, found, 4).tolist() == [1, 0, 0, 2]
    assert left((), found, 4).tolist() == [0, 0, 0, 0]
    assert left(early, {name: array[:0] for name, array in found.items()}, 0).tolist() == []
