"""Sink by a latency model: which regions are made, what the journal says of the others."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.analysis.latency import LatencyModel, typical
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Rate
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.lower.merge import Merge
from hydrafy.passes.lower.row_ifs import is_row_if
from hydrafy.passes.lower.single import FixBatch
from hydrafy.passes.lower.sink import Sink
from hydrafy.runtime.convert import convert
from tests.passes.predicated import Net, feeds, gated, networks, run

COSTS = {"shallow": 20.0, "matrix": 5.0, "control": 12.0, "region": 4.0}
MIXED = LatencyModel(COSTS, {}, 0.0, 0.0, 0.0, 1.0, 0.0, 8, "1", "a test's machine")
"""A region of one convolution that runs for one half of the images does not pay, one of two does,
at batch 1: at batch 32 some image needs it always, and nothing counts here but the nodes."""


def notes(program: Program) -> list[str]:
    return [note for entry in program.manifest.journal for note in entry.notes]


def regions(program: Program) -> dict[str, set[str]]:
    """The sides that are regions, by the name of the Select."""
    every = [n for graph in program.model.graphs() for n in graph if is_row_if(n)]
    return {n.name or "": {s for s in ("a", "b") if s in n.attributes} for n in every}


def test_a_region_is_made_where_it_saves_more_than_it_costs() -> None:
    net = Net(seed=0)
    x = net.conv(net.x)
    small = net.select(net.pred(0), net.conv(x), net.zero())
    large = net.select(net.pred(1), net.conv(net.conv(x)), net.zero())
    program = net.program(net.op("Concat", small, large, axis=1))
    names = [n.name for n in program.graph if n.op_type == "Select"]
    single = base.run(program.clone(), [FixBatch(), Sink(MIXED)])
    sunk = base.run(program, [Sink(MIXED)])
    assert regions(sunk) == {names[0]: set(), names[1]: {"a"}}
    (why,) = (note for note in notes(sunk) if "stays dense" in note)
    assert f"{names[0]!r} stays dense: its region would save 10 us and cost 18 at batch 1" in why
    assert why.endswith("save 0 us and cost 20 at batch 32")
    assert notes(sunk)[0].endswith("foreseen for a test's machine")
    # of one image a choice is an If as well, and there are no rows to gather
    assert regions(single) == {name: {"a"} for name in names}


def test_it_may_pay_at_one_of_two_sizes() -> None:
    """What one image in 10 needs is rarely run at batch 1; of 32 images, some one needs it."""
    net = Net(decisions=1, seed=0)
    y = net.select(net.pred(0), net.conv(net.x), net.zero())
    program = net.program(y)
    (select,) = (n for n in program.graph if n.op_type == "Select")
    pred = select.inputs[0].name
    sunk = []
    for rate in (0.1, 0.9):
        rates = (Rate(pred, rate),)
        one = program.clone()
        one.manifest = dataclasses.replace(one.manifest, rates=rates)
        sunk.append(base.run(one, [Sink(MIXED)]))
    assert [regions(one)[select.name] for one in sunk] == [{"a"}, set()]
    (why,) = (note for note in notes(sunk[1]) if "stays dense" in note)
    assert "at batch 1" in why and "at batch 32" in why


def test_one_side_may_be_a_region_and_the_other_not() -> None:
    net = Net(decisions=1, seed=0)
    x = net.conv(net.x)
    y = net.select(net.pred(0), net.conv(net.conv(x)), net.conv(x))
    program = net.program(y)
    (name,) = (n.name for n in program.graph if n.op_type == "Select")
    sunk = base.run(program, [Sink(MIXED)])
    assert regions(sunk) == {name: {"a"}}
    assert not any("stays dense" in note for note in notes(sunk))
    (why,) = (note for note in notes(sunk) if "would save" in note)
    assert why.startswith(f"side b of {name!r} is computed for all: its region would save 10 us")


def test_views_alone_are_no_region() -> None:
    net = Net(decisions=1, seed=0)
    flat = net.op("Flatten", net.x)
    y = net.select(net.pred(0), net.op("Flatten", net.x), flat)
    program = net.program(y)
    free = dataclasses.replace(MIXED, node={"view": 100.0})
    assert [*regions(base.run(program.clone(), [Sink()])).values()] == [{"a", "b"}]
    sunk = base.run(program, [Sink(free)])
    assert not any(regions(sunk).values())
    assert any("nothing that takes time" in note for note in notes(sunk))


def test_an_outer_region_is_judged_with_all_that_it_holds() -> None:
    """The inner one does not pay by itself; the outer pays only because of what the inner holds."""
    net = Net(decisions=2, seed=0)
    inner = net.select(net.pred(1), net.conv(net.x), net.zero())
    outer = net.select(net.pred(0), net.conv(inner), net.zero())
    program = net.program(outer)
    selects = [n.name for n in program.graph if n.op_type == "Select"]
    model = dataclasses.replace(MIXED, node={**COSTS, "control": 6.5})
    assert regions(base.run(program, [Sink(model)])) == {selects[0]: set(), selects[1]: {"a"}}


@settings(max_examples=30, deadline=None, derandomize=True)
@given(networks(), st.integers(0, 9), st.booleans())
def test_dense_sides_beside_regions_compute_the_same(
    program: Program, batch: int, everything: bool
) -> None:
    given = feeds(batch, seed=batch, everything=everything)
    low = base.run(program.clone(), lower.pipeline(latency=MIXED))
    wanted, found = (run(Session(p, threads=1), given) for p in (program, low))
    for a, b in zip(wanted, found, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-5)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(gated(), st.booleans())
def test_dense_sides_behind_gates_compute_the_same(program: Program, single: bool) -> None:
    batch = 1 if single else 7
    given = feeds(batch, seed=3, everything=True)
    low = base.run(program.clone(), lower.pipeline(single=single, latency=MIXED))
    wanted, found = (run(Session(p, threads=1), given) for p in (program, low))
    np.testing.assert_allclose(found[0], wanted[0], atol=1e-4)


def test_the_model_of_these_tests_makes_some_regions_and_refuses_others() -> None:
    made, refused = [], []

    @settings(max_examples=30, deadline=None, derandomize=True, database=None)
    @given(networks())
    def count(program: Program) -> None:
        sunk = base.run(program, [Merge(), Sink(MIXED)])
        made.extend(one for one in regions(sunk).values() if one)
        refused.extend(note for note in notes(sunk) if "would save" in note)

    count()
    assert len(made) > 10 and len(refused) > 10


@pytest.mark.parametrize("single", [False, True], ids=["any", "single"])
def test_no_select_of_a_gated_network_stays_dense(
    source: Callable[..., Program], single: bool
) -> None:
    bypassed = base.run(source("resnet20", width=16, size=32), [InsertBypass()])
    branched = convert(source("resnet20", width=16, size=32), "dynk", branches=5, k=2)
    for program in (bypassed, branched):
        low = base.run(program, lower.pipeline(single=single, latency=typical()))
        assert not [note for note in notes(low) if "stays dense" in note]
        assert any("foreseen for a typical machine" in note for note in notes(low))


def test_selects_of_one_predicate_share_their_regions() -> None:
    net = Net(decisions=2, seed=0)
    p, x = net.pred(0), net.conv(net.x)
    trunk = net.conv(x)
    y, z = net.select(p, net.conv(trunk), x), net.select(p, net.pooled(trunk), net.pooled(x))
    low = base.run(net.program(net.pooled(y), z), [Sink()])
    (row_if,) = (node for node in low.graph if is_row_if(node))
    assert len(row_if.outputs) == 2
    inner = row_if.attributes["a"].as_graph()
    assert [node.op_type for node in inner].count("Conv") == 2


def test_selects_that_would_read_each_other_do_not_share() -> None:
    """Each predicate by itself could, both cannot: their regions would wait for one another."""
    net = Net(decisions=2, seed=0)
    p, q, x = net.pred(0), net.pred(1), net.conv(net.x)
    first, second = net.select(p, net.conv(x), x), net.select(q, net.conv(x), x)
    y, z = net.op("Tanh", first), net.op("Tanh", second)
    third, fourth = net.select(q, net.conv(y), y), net.select(p, net.conv(z), z)
    program = net.program(net.pooled(net.op("Add", third, fourth)), net.pooled(y), net.pooled(z))
    low = base.run(program.clone(), lower.pipeline())
    given = feeds(5, seed=1, everything=True, decisions=2)
    for wanted, found in zip(run(Session(program), given), run(Session(low), given), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert sum(is_row_if(n) for n in base.run(program, [Sink()]).graph) == 3
