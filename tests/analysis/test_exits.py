"""Exits are found from the graph: their answers, who leaves, and what their scores are held to."""

from collections.abc import Callable

import numpy as np
import pytest

from hydrafy.analysis.answers import ancestors
from hydrafy.analysis.bounds import Bound
from hydrafy.analysis.cost import macs
from hydrafy.analysis.exits import exits, leavings, left, shares
from hydrafy.ir import build
from hydrafy.ir.manifest import Leaving
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.exits import InsertExits
from hydrafy.passes.exits.classifiers import LINEAR, Strided
from hydrafy.passes.exits.decisions import Confidence, Decision, Learned
from hydrafy.passes.lower.inference import DropTraining
from hydrafy.runtime.convert import convert
from hydrafy.runtime.lower import Lowering, lower_program
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


@pytest.mark.parametrize("decision", [Confidence(), Learned()], ids=["confidence", "learned"])
def test_shares_count_all_that_an_answer_needs(source: Source, decision: Decision) -> None:
    """Convolutions of ResNet-20 by hand, of 8, 16 and 32 channels, for images of 16x16; its
    shortcuts cost nothing."""
    made = base.run(source("resnet20"), [InsertExits(("stage2", "stage3"), decision=decision)])
    first, second = (sum(macs(n) for n in made.graph if _is_of(n.name, i)) for i in range(2))
    heads = [10 * 8, 10 * 16]
    stem, inside = 256 * 8 * 27, 9 * 8 * 8 * 256
    trunk = [stem + 6 * inside, stem + 6 * inside + 5 * inside + inside // 2]
    base.run(made, [DropTraining()])
    unneeded = 0 if isinstance(decision, Confidence) else sum(heads)  # by who stays to the end
    whole = sum(map(macs, made.graph)) - unneeded
    early, late, end = shares(made, exits(made))
    gates = (first - heads[0], second - heads[1])
    assert early * whole == pytest.approx(trunk[0] + gates[0] + heads[0])
    known = 0 if isinstance(decision, Learned) else heads[0]  # of which the decision is made
    assert late * whole == pytest.approx(trunk[1] + sum(gates) + known + heads[1])
    assert end == 1


@pytest.mark.parametrize("k", [1, 3, 4])
def test_of_branches_count_as_many_as_can_be_picked(source: Source, k: int) -> None:
    options = {"dynk.branches": 4, "dynk.k": k, "dynk.split": "stage3", "exits.at": "stage2"}
    made = convert(source("resnet8"), ["dynk", "exits"], **options)
    base.run(made, [DropTraining()])
    costs = [_macs_of(made, f"branches.{number}.") for number in range(4)]
    assert len(set(costs)) == 1 and costs[0] > 0
    early, end = shares(made, exits(made))
    (one,) = exits(made).early
    whole = sum(map(macs, made.graph)) - (4 - k) * costs[0]
    assert end == 1
    assert early * whole == pytest.approx(sum(map(macs, ancestors(one.decision, one.logits))))


def test_of_branches_the_dearest_count_and_all_of_those_inside_of_them() -> None:
    net = Net()
    early = net.linear(net.pooled(net.conv(net.x)), 5)
    scores, (one, two) = net.linear(net.pooled(net.x), 3), (net.conv(net.x), net.conv(net.x))
    inner = net.gate(net.linear(net.pooled(net.x), 2), k=1)
    both = [net.select(pred, x, net.zero()) for pred, x in zip(inner, (one, two), strict=True)]
    middle = net.op("Sum", *both)
    alone, twice = net.conv(net.x), net.conv(net.conv(net.x))
    outer = net.gate(scores, k=2)
    branches = [
        net.select(pred, x, net.zero())
        for pred, x in zip(outer, (middle, alone, twice), strict=True)
    ]
    total = net.op("Sum", *branches)
    total.shape = net.x.shape
    late = net.linear(net.pooled(total), 5)
    sure = net.op("ReduceMax", early, net.const([1]), keepdims=1)
    program = net.program(net.select(net.gate(sure)[0], early, late))
    conv = macs(alone.producer().inputs[0].producer())
    first, last = shares(program, exits(program))
    small = sum(macs(node) for node in program.graph if node.op_type == "Gemm")
    assert first == pytest.approx((conv + 20) / (5 * conv + small)) and last == 1


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


def _macs_of(program: Program, start: str) -> int:
    return sum(macs(node) for node in program.graph if (node.name or "").startswith(start))


def _is_of(name: str | None, number: int) -> bool:
    return (name or "").startswith(f"exits.{number}.")
