"""What a dynamic file spends is what its lowered form does, for every image."""

import numpy as np
import pytest
from hypothesis import given, settings

from hydrafy.analysis.predication.executed import Work
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.passes.cut import Cut
from hydrafy.runtime.spent import spent
from tests.passes.predicated import Net, feeds, reasoned


def executed(program: Program, works: tuple[Work, ...], fed: dict[str, np.ndarray]) -> np.ndarray:
    """MACs of each of 8 images; predicates are read from what a program computes or is given."""
    asked = {v for one in works for c in one.conditions for v in c.predicate.values} - set(fed)
    found = dict(fed)
    if asked:
        probe = base.run(program.clone(), [Cut((), tuple(sorted(asked)))])
        taken = {v.name for v in probe.graph.inputs}
        found |= Session(probe, threads=1).run({k: v for k, v in fed.items() if k in taken})
    return sum(one.macs * one.runs(found, 8) for one in works)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(reasoned())
def test_the_dynamic_file_and_the_lowered_one_spend_alike(program: Program) -> None:
    fed = feeds(8, seed=4, everything=True, budget=1.5)
    low = base.run(program.clone(), lower.pipeline())
    dense = executed(program, spent(program), fed)
    np.testing.assert_array_equal(executed(low, spent(low), fed), dense)


@pytest.mark.parametrize("rows", [False, True])
def test_shared_work_is_spent_once_and_where_it_is_needed(rows: bool) -> None:
    net = Net()
    trunk = net.conv(net.x)
    p, q = (net.pred(0), net.pred(1)) if rows else (net.within(1), net.within(2))
    y = net.op("Add", net.select(p, net.conv(trunk), net.x), net.select(q, trunk, net.x))
    program = net.program(net.pooled(y))
    fed = feeds(8, seed=4, everything=True, budget=1.5)
    one, d = 6 * 6 * 4 * 4 * 9, fed["d"].astype(int)
    of_rows = np.where(d[:, 0], 2, d[:, 1])
    wanted = of_rows if rows else np.ones(8)  # 1.5 is within 2, not within 1
    assert (executed(program, spent(program), fed) == wanted * one).all()
