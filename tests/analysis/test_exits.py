"""Exits are found from the graph: their answers, who leaves, and what their scores are held to."""

from collections.abc import Callable

import pytest

from hydrafy.analysis.bounds import Bound, bound
from hydrafy.analysis.exits import exits
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.exits import InsertExits
from hydrafy.passes.exits.classifiers import LINEAR
from hydrafy.passes.exits.decisions import Learned

Source = Callable[..., Program]


def renamed(program: Program) -> Program:
    """The same network, where no name but those of inputs and outputs tells what a value is."""
    for number, node in enumerate(program.graph):
        for value in node.outputs:
            if not value.is_graph_output():
                value.name = f"v{number}"
    return program


def test_a_network_without_exits_has_the_last_one_only(source: Source) -> None:
    program = base.run(source("resnet20"), [InsertBypass()])
    found = exits(program)
    assert found.early == () and found.last is program.graph.outputs[0]


def test_confident_ones_leave_by_the_threshold_of_their_exit(source: Source) -> None:
    insert = InsertExits(("stage3", "stage2"))
    program = renamed(base.run(source("resnet20"), [InsertBypass(), insert]))
    found = exits(program)
    assert [one.logits.name for one in found.early] == ["exits.0.logits", "exits.1.logits"]
    assert [one.decision.name for one in found.early] == insert.decisions
    assert all(one.leaves and not one.learned and one.column == 0 for one in found.early)
    assert all(one.score.producer().op_type == "ReduceMax" for one in found.early)  # type: ignore[union-attr]
    assert found.last.producer().op_type == "Gemm"  # type: ignore[union-attr]
    thresholds = [one.threshold for one in found.early]
    assert None not in thresholds and len(set(thresholds)) == 2
    names = {entry.name for entry in program.manifest.runtime_inputs}
    assert {one.name for one in thresholds if one} < names


def test_learned_ones_stay_by_a_column_behind_those_of_blocks(source: Source) -> None:
    insert = InsertExits(("stage2", "stage3"), LINEAR, Learned())
    program = renamed(base.run(source("resnet20"), [InsertBypass(), insert]))
    found = exits(program)
    assert [one.logits.name for one in found.early] == ["exits.0.logits", "exits.1.logits"]
    assert [one.decision.name for one in found.early] == insert.decisions
    assert all(one.learned and not one.leaves and one.threshold is None for one in found.early)
    assert [bound(program, one.gate) for one in found.early] == [
        Bound("tau", (9,)),
        Bound("tau", (10,)),
    ]


@pytest.mark.parametrize("ending", ["Softmax", "LogSoftmax"])
def test_a_prediction_may_be_probabilities(source: Source, ending: str) -> None:
    static = source("resnet8")
    logits = static.graph.outputs[0]
    logits.name = "before"
    node = build.op(ending, [logits], "logits", axis=1)
    static.graph.append(node)
    static.graph.outputs[0] = node.outputs[0]
    assert len(exits(base.run(static, [InsertExits(("stage2",))])).early) == 1
