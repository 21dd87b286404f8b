"""What an answer takes: all that leads to it, and of branches no more than can be picked."""

from collections.abc import Callable

import pytest

from hydrafy.analysis.answer_costs import shares
from hydrafy.analysis.answers import ancestors
from hydrafy.analysis.cost import macs
from hydrafy.analysis.exits import exits
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.exits import InsertExits
from hydrafy.passes.exits.decisions import Confidence, Decision, Learned
from hydrafy.passes.lower.inference import DropTraining
from hydrafy.runtime.convert import convert
from tests.passes.predicated import Net

Source = Callable[..., Program]


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
    branches.append(net.select(outer[1], alone, net.zero()))  # is read twice
    total = net.op("Sum", *branches)
    total.shape = net.x.shape
    late = net.linear(net.pooled(total), 5)
    sure = net.op("ReduceMax", early, net.const([1]), keepdims=1)
    program = net.program(net.select(net.gate(sure)[0], early, late))
    conv = macs(alone.producer().inputs[0].producer())
    first, last = shares(program, exits(program))
    small = sum(macs(node) for node in program.graph if node.op_type == "Gemm")
    assert first == pytest.approx((conv + 20) / (5 * conv + small)) and last == 1


def _macs_of(program: Program, start: str) -> int:
    return sum(macs(node) for node in program.graph if (node.name or "").startswith(start))


def _is_of(name: str | None, number: int) -> bool:
    return (name or "").startswith(f"exits.{number}.")
