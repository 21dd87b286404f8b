"""Oracles: static networks that do what a decision leaves, and between them all of a network."""

import numpy as np
import pytest

from hydrafy.analysis.cost import cost
from hydrafy.analysis.predication.executed import placed, work
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.runtime.bench.decided import decide
from hydrafy.runtime.bench.oracle import covers, oracle
from hydrafy.runtime.bench.parts import Parts, parts
from tests.passes.dynamic import IMAGES, layers, nested


@pytest.mark.parametrize("program", [nested(), layers()], ids=["nested", "layers"])
def test_the_oracle_of_an_image_computes_what_the_network_does(program: Program) -> None:
    decided = decide(program, IMAGES, {})
    wanted = Session(program).run({"x": IMAGES})["head.fc"]
    ways = np.unique(decided.rows, axis=0, return_index=True)[1]
    assert len(ways) > 2
    for row in ways:
        net = oracle(program, decided.of(row))
        assert net.stage == "lowered"
        assert "If" not in {node.op_type for node in net.graph}
        found = Session(net).run({"x": IMAGES[row : row + 1]})["head.fc"]
        np.testing.assert_allclose(found, wanted[row : row + 1], atol=1e-4)
        runs = [one.macs for one in work(program) if one.runs(decided.found, 40)[row]]
        assert cost(net).macs == sum(runs)


def test_covering_networks_have_every_part() -> None:
    (everything,) = covers(layers())
    assert everything[1] == {conditions for _, conditions in placed(layers())}
    nets = covers(nested())
    assert set().union(*(here for _, here in nets)) == {c for _, c in placed(nested())}
    names = {node.name for net, _ in nets for node in net.graph}
    assert {"stem", "g", "f", "head.fc"} <= names


def test_a_part_counts_for_the_rows_that_it_is_for() -> None:
    program = layers()
    decided = decide(program, IMAGES, {})
    every = {one for _, one in placed(program)}
    counts = np.array([0, 40])
    found = Parts(counts, {one: np.array([0.0, 40.0 if one else 4.0]) for one in every}, 84.0)
    rows = slice(5, 15)
    shares = decided.rows[rows].sum()
    assert found.share(decided, rows) == pytest.approx((1.0 + shares) / 84)


def test_parts_are_profiled_on_more_and_more_rows() -> None:
    program = layers()
    big = np.tile(IMAGES, (8, 1, 1, 1))
    found = parts(program, covers(program), big, 1)
    assert found.counts[0] == 0 and found.counts[-1] == len(big)
    for spent in found.parts.values():
        assert spent[0] == 0 and spent[-1] > 0
    assert found.first == pytest.approx(sum(spent[-1] for spent in found.parts.values()))
