"""The dial closes a share of what runs when gates are open, and leaves exits alone."""

from collections.abc import Callable

import numpy as np
import pytest

from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.exits import InsertExits
from hydrafy.passes.exits.classifiers import LINEAR
from hydrafy.passes.exits.decisions import Learned
from hydrafy.runtime.calibrate.dial import Dial, knobs, opened
from hydrafy.runtime.convert import convert

Source = Callable[..., Program]


def test_gates_of_exits_are_no_part_of_it(source: Source) -> None:
    exits = InsertExits(("stage2", "stage3"), LINEAR, Learned(tau=0.25))
    program = base.run(source("resnet8"), [InsertBypass(), exits])
    (knob,) = knobs(program)
    assert (knob.entry.name, knob.columns, len(knob.gates)) == ("tau", (0, 1, 2), 3)
    assert knob.at(0.75).tolist() == [[0.75] * 3 + [0.25] * 2]
    assert knob.default.tolist() == [[0.5] * 3 + [0.25] * 2]
    assert knobs(base.run(source("resnet8"), [InsertExits(("stage2",))])) == ()


def test_gates_that_nothing_asks_are_no_part_of_it(source: Source) -> None:
    program = base.run(source("resnet8"), [InsertBypass()])
    select = next(node for node in program.graph if node.op_type == "Select")
    always = select.inputs[1]
    assert always is not None
    for use in list(select.outputs[0].uses()):
        use.node.replace_input_with(use.idx, always)
    first = next(v for v in program.graph.outputs if program.manifest.role(v.name) == "decision")
    program.graph.outputs.remove(first)
    (knob,) = knobs(program)
    assert knob.columns == (1, 2) and first.producer() not in knob.gates


@pytest.mark.parametrize("level", [0.25, 0.5])
def test_a_share_of_the_choices_is_below(source: Source, level: float) -> None:
    (knob,) = knobs(convert(source("resnet8"), "dynk", branches=4, k=2, split="stage2"))
    scores = np.sort(np.random.default_rng(0).random(1000).astype(np.float32))
    dial = Dial((knob,), (scores,))
    assert (scores < dial.at(level)["tau"]).mean() == level
    assert dial.at(0)["tau"].item() == opened((knob,))["tau"].item() == 0
    assert dial.at(1)["tau"].item() == 1


def test_thresholds_are_in_the_middle_between_two_scores(source: Source) -> None:
    (knob,) = knobs(convert(source("resnet8"), "dynk", branches=4, k=2, split="stage2"))
    dial = Dial((knob,), (np.array([0.125, 0.25, 0.5, 0.75], np.float32),))
    assert [dial.at(level)["tau"].item() for level in (0.25, 0.5, 0.75)] == [0.1875, 0.375, 0.625]
