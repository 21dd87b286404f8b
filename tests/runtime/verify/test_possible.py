"""What can be decided together: settled decisions agree, and no side is asked for in vain."""

import math

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.analysis.predication.formulas import Formulas
from hydrafy.analysis.predication.sources import sources
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.runtime.verify import verify_lowered
from hydrafy.runtime.verify.possible import every, settle, sides
from tests.passes.predicated import Net


def steps(limits: tuple[float, float], *, rows: bool = False) -> Program:
    """`low ? y1 : high ? y2 : y3`, of a budget or of a score of each image."""
    net = Net()
    x = net.conv(net.x)
    low, high = net.scores(x, [*limits]) if rows else map(net.within, limits)
    y = net.select(low, net.conv(x), net.select(high, net.conv(x), net.conv(net.conv(x))))
    return net.program(net.pooled(y))


def settled(program: Program, count: int) -> list[tuple[bool, bool]]:
    """What is decided of the second comparison and of the first, for many rows or batches."""
    values, rng = sources(program), np.random.default_rng(0)
    found = []
    for _ in range(50):
        decided = {v.name or "": np.ones([count] * v.shape.rank(), bool) for v in values}
        settle(values, decided, Formulas(program.graph), rng)
        first, second = (np.atleast_1d(array).tolist() for array in decided.values())
        found += list(zip(first, second, strict=True))
    return found


def test_steps_are_decided_in_their_order() -> None:
    """A budget of 1 is also within 2; as NaN it is within neither."""
    assert set(settled(steps((1, 2)), 1)) == {(True, True), (True, False), (False, False)}


def test_scores_are_decided_row_by_row() -> None:
    found = settled(steps((0.25, 0.5), rows=True), 8)
    assert set(found) == {(True, True), (False, True), (False, False)}
    assert len(set(found[:8])) > 1


def test_gates_that_are_computed_alike_decide_alike() -> None:
    net = Net()
    scores = net.op("Sigmoid", net.linear(net.pooled(net.x), 2))
    tau = net.const(np.full((1, 1), 0.5, np.float32))
    flags = [net.op("ThresholdGate", scores, tau, domain="hydrafy") for _ in range(2)]
    rng = np.random.default_rng(0)
    decided = {v.name or "": rng.random((20, 2)) < 0.5 for v in flags}
    settle(flags, decided, Formulas(net.graph), rng)
    one, two = decided.values()
    np.testing.assert_array_equal(one, two)
    assert one.any(0).all() and not one.all(0).any()


def behind(draw_inner: str) -> tuple[Program, str]:
    """`p ? f(inner ? a : b) : x`, and the name of `inner`."""
    net = Net()
    p, q = net.pred(0), net.pred(1)
    inner = {"or": net.op("Or", p, q), "not": net.op("Not", p), "other": q}[draw_inner]
    chosen = net.select(inner, net.conv(net.x), net.conv(net.x))
    return net.program(net.pooled(net.select(p, net.conv(chosen), net.x))), inner.name or ""


def test_a_side_that_other_predicates_rule_out_is_not_asked_for() -> None:
    for how, wanted in (("or", {True}), ("not", {False}), ("other", {True, False})):
        program, name = behind(how)
        assert {holds for one, holds in sides(program) if one == name} == wanted
        low = base.run(program.clone(), lower.pipeline())
        assert verify_lowered(program, low).reached == 2
        assert len([n for n in low.graph.all_nodes() if n.op_type == "Conv"]) == (
            3 if how == "other" else 2
        )


def test_what_is_also_used_elsewhere_may_be_needed_on_both_sides() -> None:
    net = Net()
    p = net.pred(0)
    chosen = net.select(net.op("Or", p, net.pred(1)), net.conv(net.x), net.conv(net.x))
    y = net.select(p, net.conv(chosen), net.x)
    program = net.program(net.pooled(net.op("Add", y, chosen)))
    assert len(sides(program)) == 4
    assert verify_lowered(program, base.run(program.clone(), lower.pipeline())).reached == 2


def test_all_cases_are_those_that_can_be() -> None:
    program = steps((1, 2))
    found = [
        tuple(bool(a) for a in d.values()) for d in every(sources(program), Formulas(program.graph))
    ]
    assert set(found) == {(True, True), (True, False), (False, False)}
    rows = steps((0.25, 0.5), rows=True)
    (one,) = every(sources(rows), Formulas(rows.graph))
    assert set(zip(*(a.tolist() for a in one.values()), strict=True)) == {
        (True, True), (False, True), (False, False),
    }  # fmt: skip


def test_too_many_cases_are_not_made_up() -> None:
    net = Net(decisions=13)
    net.program(net.select(net.pred(0), net.x, net.zero()))
    assert not list(every([net.d], Formulas(net.graph)))


def picked(columns: int, k: int, twins: int = 1) -> tuple[Net, list[ir.Value]]:
    """TopKGates that are computed alike."""
    net = Net()
    scores = net.linear(net.pooled(net.x), columns)
    tau = net.const(np.full((1, 1), 0.5, np.float32))
    gates = [net.op("TopKGate", scores, tau, domain="hydrafy", k=k) for _ in range(twins)]
    return net, gates


@pytest.mark.parametrize("k", [1, 3])
def test_a_gate_picks_as_many_columns_as_it_can(k: int) -> None:
    net, gates = picked(5, k, twins=2)
    rng = np.random.default_rng(0)
    decided = {v.name or "": rng.random((40, 5)) < 0.5 for v in gates}
    settle(gates, decided, Formulas(net.graph), rng)
    one, two = decided.values()
    np.testing.assert_array_equal(one, two)
    assert set(one.sum(1).tolist()) == set(range(1, k + 1))
    (cases,) = every(gates, Formulas(net.graph))
    one, two = cases.values()
    np.testing.assert_array_equal(one, two)
    assert len(np.unique(one, axis=0)) == len(one) == sum(math.comb(5, n + 1) for n in range(k))


def test_a_column_that_another_rules_out_is_not_asked_for_in_vain() -> None:
    """`p0 ? f(p1 ? a : b) : x`, of which only one can hold: no row needs a, whatever is decided."""
    net = Net()
    p, q, *_ = net.gate(net.linear(net.pooled(net.x), 6), k=1)
    chosen = net.select(q, net.conv(net.x), net.conv(net.x))
    program = net.program(net.pooled(net.select(p, net.conv(chosen), net.x)))
    for single in (False, True):
        low = base.run(program.clone(), lower.pipeline(single=single))
        assert verify_lowered(program, low).reached == 2
