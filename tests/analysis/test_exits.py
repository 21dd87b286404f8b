"""Exits are found from the graph: their answers, who leaves, and what their scores are held to."""

from collections.abc import Callable

import pytest

from hydrafy.analysis.answer_costs import shares
from hydrafy.analysis.bounds import Bound
from hydrafy.analysis.exits import exits
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.exits import InsertExits
from hydrafy.passes.exits.classifiers import LINEAR, Strided
from hydrafy.passes.exits.decisions import Confidence, Decision, Learned
from hydrafy.runtime.convert import convert
from tests.passes.predicated import Net

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
    assert all(one.leaves and one.column == 0 for one in found.early)
    scores = [one.score.producer() for one in found.early]
    assert [node.op_type for node in scores if node is not None] == ["ReduceMax"] * 2
    last = found.last.producer()
    assert last is not None and last.op_type == "Gemm"
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
    assert all(not one.leaves for one in found.early)
    assert [one.threshold for one in found.early] == [Bound("tau", (9,)), Bound("tau", (10,))]


@pytest.mark.parametrize("ending", ["Softmax", "LogSoftmax"])
def test_a_prediction_may_be_probabilities(source: Source, ending: str) -> None:
    static = source("resnet8")
    logits = static.graph.outputs[0]
    logits.name = "before"
    node = build.op(ending, [logits], "logits", axis=1)
    static.graph.append(node)
    static.graph.outputs[0] = node.outputs[0]
    assert len(exits(base.run(static, [InsertExits(("stage2",))])).early) == 1


@pytest.mark.parametrize("network", ["resnet20", "densenet22"])
@pytest.mark.parametrize("decision", [Confidence(), Learned()], ids=["confidence", "learned"])
@pytest.mark.parametrize("places", [("stage3",), ("stage2", "stage3")], ids=["one", "two"])
def test_the_answers_are_told_from_what_follows(
    source: Source, network: str, decision: Decision, places: tuple[str, ...]
) -> None:
    made = base.run(source(network), [InsertExits(places, decision=decision)])
    found = exits(made).early
    assert [one.logits.name for one in found] == [f"exits.{i}.logits" for i in range(len(places))]
    assert all(one.leaves == decision.leaves for one in found)
    assert [one.rest for one in found[:-1]] == [one.select.outputs[0] for one in found[1:]]


@pytest.mark.parametrize("decision", [Confidence(), Learned()], ids=["confidence", "learned"])
def test_a_classifier_may_cost_more_than_what_it_saves(source: Source, decision: Decision) -> None:
    """A decision that is made of it, or lets run the rest, tells which is the answer."""
    insert = InsertExits(("stage3.3",), Strided(256), decision=decision)
    made = base.run(source("resnet20"), [insert])
    (one,) = exits(made).early
    assert one.logits.name == "exits.0.logits" and one.leaves == decision.leaves
    early, late = shares(made, exits(made))
    if decision.leaves:  # who stays has paid for the classifier
        assert late == 1 and early > 0.9
    else:
        assert early == 1 and late < 0.9


def test_other_selects_are_no_exits(source: Source) -> None:
    gated = base.run(source("resnet20"), [InsertBypass()])
    assert exits(gated).early == ()
    assert exits(convert(source("resnet8"), "dynk", branches=3, k=2, split="stage2")).early == ()
    net = Net(decisions=1)
    early, late = (net.linear(net.pooled(net.conv(net.x)), 5) for _ in range(2))
    assert (
        exits(net.program(net.select(net.pred(0), early, late))).early == ()
    )  # its caller decides


def test_what_only_changes_the_answer_is_passed() -> None:
    net = Net()
    early, late = (net.linear(net.pooled(net.conv(net.x)), 5) for _ in range(2))
    sure = net.op("ReduceMax", early, net.const([1]), keepdims=1)
    chosen = net.select(net.gate(sure)[0], early, late)
    (one,) = exits(net.program(net.op("Softmax", chosen, axis=1))).early
    assert one.logits is early and one.rest is late
