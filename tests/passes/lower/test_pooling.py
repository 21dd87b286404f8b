"""Pooling inside of regions computes what pooling behind their sum does."""

import numpy as np
import pytest

from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Manifest, Output
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.lower.pooling import PoolInside
from tests.train.programs import Sketch


def network(
    *, projection: bool, factor: bool, nothing: float = 0.0, direct: bool = False
) -> Program:
    s = Sketch(("N", 3, 6, 6))
    flags = s.op("TopKGate", [s.linear(s.pooled(s.x, "g"), "gate", 3), s.random("t")], "flags", k=2)
    other = s.weight("other", np.array(nothing, np.float32))
    chosen = []
    for b in range(3):
        y = s.op("Relu", [s.conv(s.x, f"a{b}", 4, 3)], f"relu{b}")
        y = s.conv(y, f"back{b}", 5, 1) if projection else y
        pred = s.op("Gather", [flags, s.weight(f"i{b}", np.array(b))], f"pred{b}", axis=1)
        chosen.append(s.op("Select", [pred, y, other], f"select{b}"))
    total = s.op("Sum", chosen, "total")
    if factor:
        total = s.op("Mul", [total, s.weight("factor", np.array(0.5, np.float32))], "scaled")
    pool = s.op("GlobalAveragePool", [total], "pool")
    out = pool if direct else s.op("Flatten", [pool], "flat")
    roles = (Output(out.name or "", "prediction"),)
    return s.program(out, manifest=Manifest(stage="dynamic", outputs=roles))


@pytest.mark.parametrize("projection", [False, True])
@pytest.mark.parametrize("factor", [False, True])
@pytest.mark.parametrize("direct", [False, True])
def test_pooling_goes_before_the_sum(projection: bool, factor: bool, direct: bool) -> None:
    program = network(projection=projection, factor=factor, direct=direct)
    x = np.random.default_rng(0).standard_normal((7, 3, 6, 6)).astype(np.float32)
    wanted = Session(program).run({"x": x})
    base.run(program, [PoolInside()])
    pools = [n for n in program.graph if n.op_type == "GlobalAveragePool" and n.name != "g.pool"]
    assert len(pools) == 3
    found = Session(program).run({"x": x})
    assert list(found) == list(wanted)
    for name, array in found.items():
        np.testing.assert_allclose(array, wanted[name], rtol=1e-5, atol=1e-6)


def test_a_sum_of_something_else_stays() -> None:
    program = network(projection=True, factor=False, nothing=1.0)
    before = len(program.graph)
    base.run(program, [PoolInside()])
    assert len(program.graph) == before
