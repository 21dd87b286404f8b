"""Sharing: what several Selects need runs for the rows that one of them is for, and no others."""

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.analysis.predication.executed import work
from hydrafy.execute.session import Session
from hydrafy.ir import build, ops
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.passes.lower.merge import Merge
from tests.passes.predicated import Net, feeds, run

ONE = 6 * 6 * 4 * 4 * 9  # MACs of a convolution


def merged(net: Net, *outputs: ir.Value) -> Program:
    """The network after merging; lowered it computes the same."""
    program = net.program(*outputs)
    low = base.run(program.clone(), lower.pipeline())
    given = feeds(9, seed=2, everything=False, budget=1.5)
    for wanted, found in zip(run(Session(program), given), run(Session(low), given), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    return base.run(program, [Merge()])


def made(program: Program) -> list[str]:
    """The ops that combine predicates, and the Selects that are for shared work."""
    shared = [n for n in program.graph if ops.is_select(n) and (n.name or "").endswith(".shared")]
    return [n.op_type for n in program.graph if n.op_type in ops.LOGIC] + ["S"] * len(shared)


def spent(program: Program, flags: list[tuple[bool, bool]]) -> list[int]:
    """MACs of each row, in convolutions, by what `d` says of it."""
    rows = np.array([[*flag, False, False] for flag in flags])
    total = sum(one.macs * one.runs({"d": rows}, len(rows)) for one in work(program))
    return (total // ONE).tolist()


FLAGS = [(True, True), (True, False), (False, True), (False, False)]


def two(net: Net, p: ir.Value, q: ir.Value, trunk: ir.Value) -> ir.Value:
    """A side of p and a side of q read the trunk."""
    first, second = net.op("Tanh", trunk), net.conv(trunk)
    return net.op("Add", net.select(p, first, net.x), net.select(q, second, net.x))


def test_work_of_two_predicates_is_for_rows_of_either() -> None:
    net = Net()
    program = merged(net, two(net, net.pred(0), net.pred(1), net.conv(net.conv(net.x))))
    assert made(program) == ["Or", "S"]
    assert spent(program, FLAGS) == [3, 2, 3, 0]


def test_work_of_one_predicate_needs_no_other() -> None:
    net = Net()
    program = merged(net, two(net, net.pred(0), net.pred(0), net.conv(net.x)))
    assert "Or" not in made(program)
    assert spent(program, FLAGS) == [2, 2, 0, 0]


def test_the_weakest_predicate_is_taken_where_the_others_imply_it() -> None:
    net = Net()
    program = merged(net, two(net, net.within(1), net.within(2), net.conv(net.x)))
    assert made(program) == ["S"]
    (select,) = [n for n in program.graph if (n.name or "").endswith(".shared")]
    node = select.inputs[0].producer()
    assert node is not None and node.op_type == "LessOrEqual"
    assert node.inputs[1].const_value.numpy() == 2


def test_other_sides_need_the_opposite() -> None:
    net = Net()
    p, q, trunk = net.pred(0), net.pred(1), net.conv(net.x)
    y = net.select(p, net.x, net.op("Tanh", trunk))
    program = merged(net, net.op("Add", y, net.select(q, net.conv(trunk), net.x)))
    assert made(program) == ["Not", "Or", "S"]
    assert spent(program, FLAGS) == [2, 0, 2, 1]


def test_within_a_region_only_what_is_left_to_decide_counts() -> None:
    net = Net(decisions=4)
    inner = two(net, net.pred(0), net.pred(1), net.conv(net.x))
    program = merged(net, net.select(net.pred(2), net.conv(inner), net.x))
    assert made(program) == ["Or", "S"]
    assert spent(program, FLAGS) == [0, 0, 0, 0]


def test_what_leads_to_shared_work_is_shared() -> None:
    net = Net()
    stem = net.conv(net.x)
    p, q, trunks = net.pred(0), net.pred(1), [net.conv(stem), net.conv(stem)]
    y = [two(net, p, q, trunk) for trunk in trunks]
    program = merged(net, net.op("Add", *y))
    assert made(program) == ["Or", "S", "S"]  # the stem is in the region of both trunks
    assert spent(program, FLAGS) == [5, 3, 5, 0]


def always(net: Net, p: ir.Value, trunk: ir.Value) -> ir.Value:
    return net.select(p, net.op("Tanh", trunk), net.conv(trunk))


def opposite(net: Net, p: ir.Value, trunk: ir.Value) -> ir.Value:
    return two(net, p, net.op("Not", p), trunk)


def elsewhere(net: Net, p: ir.Value, trunk: ir.Value) -> ir.Value:
    return net.op("Add", two(net, p, net.pred(1), trunk), trunk)


def deciding(net: Net, p: ir.Value, trunk: ir.Value) -> ir.Value:
    return two(net, p, net.scores(trunk, [0.5])[0], trunk)


def cheap(net: Net, p: ir.Value, trunk: ir.Value) -> ir.Value:
    return two(net, p, net.pred(1), net.op("Sigmoid", net.op("Tanh", net.x)))


def mixing(net: Net, p: ir.Value, trunk: ir.Value) -> ir.Value:
    mean = net.op("ReduceMean", trunk, net.const(np.array([0])), keepdims=1)
    return two(net, p, net.pred(1), net.op("Add", mean, net.x))


def fixed(net: Net, p: ir.Value, trunk: ir.Value) -> ir.Value:
    """What has no row for each image, made of what a caller may give."""
    row = build.weight(net.graph, "row", np.ones((1, 4), np.float32))
    net.graph.inputs.append(row)
    made = net.op("Reshape", net.linear(row, 4), net.const(np.array([1, 4, 1, 1])))
    first, second = (net.op("Add", net.x, net.op(kind, made)) for kind in ("Tanh", "Sigmoid"))
    return net.op("Add", net.select(p, first, net.x), net.select(net.pred(1), second, net.x))


@pytest.mark.parametrize("draw", [always, opposite, elsewhere, deciding, cheap, mixing, fixed])
def test_what_would_save_nothing_stays(draw: object) -> None:
    net = Net()
    program = merged(net, draw(net, net.pred(0), net.conv(net.x)))
    assert "S" not in made(program)


def test_many_predicates_are_not_asked_for_all() -> None:
    net = Net(decisions=5)
    trunk = net.conv(net.x)
    y = [net.select(net.pred(i), net.conv(trunk), net.zero()) for i in range(5)]
    program = base.run(net.program(net.op("Sum", *y)), [Merge()])
    assert "S" not in made(program)
