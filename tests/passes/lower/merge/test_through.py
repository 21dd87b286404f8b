"""Reading through: where a predicate is known, the Select is gone, and so is its other side."""

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.analysis.predication.executed import work
from hydrafy.execute.session import Session
from hydrafy.ir import ops
from hydrafy.passes import base, lower
from hydrafy.passes.lower.merge import Merge
from tests.passes.predicated import Net, feeds, run

Inner = Callable[[Net, ir.Value, ir.Value], ir.Value]


def left(net: Net, *outputs: ir.Value) -> tuple[int, int]:
    """How many Selects and convolutions merging leaves; what is computed stays."""
    program = net.program(*outputs)
    merged = base.run(program.clone(), [Merge()])
    low = base.run(program.clone(), lower.pipeline())
    for budget in (0.5, 1.5, 2.5, np.nan):
        given = feeds(7, seed=1, everything=True, budget=budget)
        wanted = run(Session(program), given)
        for form in (merged, low):
            for array, other in zip(run(Session(form), given), wanted, strict=True):
                np.testing.assert_allclose(array, other, atol=1e-5)
    nodes = list(merged.graph)
    return sum(map(ops.is_select, nodes)), sum(n.op_type == "Conv" for n in nodes)


@pytest.mark.parametrize(
    ("inner", "selects", "convs"),
    [
        (lambda net, p, q: p, 1, 2),
        (lambda net, p, q: net.pred(0), 1, 2),  # computed again
        (lambda net, p, q: net.op("Or", q, p), 1, 2),
        (lambda net, p, q: net.op("Not", p), 1, 2),
        (lambda net, p, q: net.op("And", net.op("Not", p), q), 1, 2),
        (lambda net, p, q: net.op("And", p, q), 2, 3),
        (lambda net, p, q: q, 2, 3),
    ],
)
def test_a_select_behind_one_that_tells_its_predicate(
    inner: Inner, selects: int, convs: int
) -> None:
    net = Net()
    p, q = net.pred(0), net.pred(1)
    chosen = net.select(inner(net, p, q), net.conv(net.x), net.conv(net.x))
    assert left(net, net.select(p, net.conv(chosen), net.x)) == (selects, convs)


def test_steps_of_a_budget_tell_the_larger_ones_and_not_the_smaller_ones() -> None:
    for outer, inner, selects in ((1, 2, 1), (2, 1, 2)):
        net = Net()
        chosen = net.select(net.within(inner), net.conv(net.x), net.conv(net.x))
        y = net.select(net.within(outer), net.conv(chosen), net.x)
        assert left(net, net.pooled(y)) == (selects, 1 + selects)


def test_two_selects_together_tell_what_none_tells_alone() -> None:
    net = Net()
    p, q = net.pred(0), net.pred(1)
    inner = net.select(net.op("And", p, q), net.conv(net.x), net.conv(net.x))
    middle = net.select(q, net.conv(inner), net.x)
    assert left(net, net.select(p, net.conv(middle), net.x)) == (2, 3)


def test_nothing_may_stand_on_the_other_side_only() -> None:
    for side, selects in ((1, 2), (2, 1)):
        net = Net()
        p = net.pred(0)
        chosen = net.select(net.op("Not", p), net.conv(net.x), net.zero())
        sides = [net.conv(net.x), net.conv(net.x)]
        sides[side - 1] = chosen if side == 2 else net.conv(chosen)
        other = net.select(net.op("Not", p), *sides) if side == 2 else net.select(p, *sides)
        assert left(net, other)[0] == selects


def test_what_one_side_computes_keeps_its_region() -> None:
    """Two Selects in a row would read `a`, which then lay under none of them."""
    net = Net()
    p = net.pred(0)
    chosen = net.select(p, net.conv(net.x), net.x)
    y = net.op("Tanh", net.select(p, net.conv(chosen), net.x))
    z = net.select(p, net.op("Add", net.conv(chosen), y), net.zero())
    selects, _ = left(net, y, z)
    assert selects == 3


def test_what_selects_of_one_region_compute_is_read_by_all_of_them() -> None:
    net = Net()
    p = net.pred(0)
    chosen = net.select(p, net.conv(net.x), net.x)
    y = net.select(p, net.conv(chosen), net.x)
    z = net.select(p, net.op("Tanh", net.conv(chosen)), net.zero())
    selects, _ = left(net, y, z)
    assert selects == 2


def test_what_is_an_output_too_keeps_its_region() -> None:
    net = Net()
    p = net.pred(0)
    chosen = net.select(p, net.conv(net.x), net.op("Tanh", net.x))
    y = net.select(p, net.conv(chosen), net.x)
    program = base.run(net.program(y, chosen), [Merge()])
    rows = {"d": np.array([[True] * 4, [False] * 4])}
    ran = sum(one.macs * one.runs(rows, 2) for one in work(program))
    assert ran[0] > 0 == ran[1]
    assert sum(map(ops.is_select, program.graph)) == 2


def test_a_node_that_mixes_rows_sees_those_that_a_side_does_not_need() -> None:
    net = Net()
    p = net.pred(0)
    chosen = net.select(p, net.conv(net.x), net.op("Tanh", net.x))
    mean = net.op("ReduceMean", chosen, net.const(np.array([0])), keepdims=1)
    assert left(net, net.select(p, net.op("Add", net.conv(net.x), mean), net.x))[0] == 2
