"""How many columns of a decision hold: what gates do, and what is made up for proofs."""

import numpy as np
import pytest

from hydrafy.analysis.predication.picks import Picks, picks
from hydrafy.execute.session import Session
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.cut import Cut
from tests.passes.predicated import Net


def gate(columns: int, k: int) -> tuple[Program, Picks | None]:
    """A TopKGate of the input's numbers, its threshold being another."""
    net = Net()
    scores, tau = net.linear(net.pooled(net.x), columns), net.op("Identity", net.x)
    tau = net.linear(net.pooled(tau), 1)
    picked = net.op("TopKGate", scores, tau, domain=ops.DOMAIN, k=k)
    net.graph.outputs.append(picked)
    program = net.program(net.pooled(net.x))
    return base.run(program, [Cut((scores.name, tau.name), (picked.name,))]), picks(picked)


@pytest.mark.parametrize(("columns", "k"), [(1, 1), (4, 1), (5, 3), (3, 3)])
def test_the_bounds_are_those_of_the_gate_for_any_numbers(columns: int, k: int) -> None:
    program, bounds = gate(columns, k)
    assert bounds == Picks(1, k)
    rng = np.random.default_rng(0)
    kinds = np.array([0, 0.25, 0.5, 1, -1, np.nan, np.inf, -np.inf], np.float32)
    first, second = (v.name for v in program.graph.inputs)
    given = {first: rng.choice(kinds, (500, columns)), second: rng.choice(kinds, (500, 1))}
    counts = next(iter(Session(program).run(given).values())).sum(1)
    assert set(counts.tolist()) == set(range(1, k + 1))


def test_nothing_is_known_of_other_decisions() -> None:
    net = Net()
    (open_,) = net.gate(net.linear(net.pooled(net.x), 1))
    assert picks(open_) is None
    assert picks(open_.producer().inputs[0]) is None
    assert picks(net.d) is None


@pytest.mark.parametrize(("least", "most"), [(1, 1), (1, 3), (0, 2), (2, 6)])
def test_decisions_are_brought_to_what_can_be(least: int, most: int) -> None:
    bounds, rng = Picks(least, most), np.random.default_rng(0)
    rows = rng.random((200, 6)) < np.linspace(0, 1, 200)[:, None]
    found = bounds.bring(rows, rng)
    counts = rows.sum(1)
    np.testing.assert_array_equal(found.sum(1), np.clip(counts, least, most))
    fine = (least <= counts) & (counts <= most)
    np.testing.assert_array_equal(found[fine], rows[fine])
    assert not (found & ~rows)[counts >= least].any()  # too many: some go, none come
    assert found.any(0).all() and not found.all(0).any()


def test_all_decisions_are_listed_and_counted() -> None:
    for bounds in (Picks(1, 1), Picks(1, 3), Picks(0, 4)):
        every = list(bounds.every(4))
        assert len(set(every)) == len(every) == bounds.count(4)
        assert all(bounds.least <= sum(one) <= bounds.most for one in every)
