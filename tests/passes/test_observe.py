"""A probe tells the moments of inner values, also where float32 squares could not."""

import numpy as np
import pytest

from hydrafy.execute.session import Session
from hydrafy.passes import base
from hydrafy.passes.observe import Observe, moments_of
from tests.train.programs import Sketch


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_the_moments_of_each_image_and_channel(offset: float) -> None:
    s = Sketch(("N", 3, 9, 7))
    one = s.conv(s.x, "one", 4, 3)
    two = s.conv(s.op("Relu", [one], "relu"), "two", 5, 1)
    program = s.program(s.linear(s.pooled(two, "head"), "fc", 2))
    program.set_weight("two.bias", program.weight("two.bias") + np.float32(offset))
    x = np.random.default_rng(0).standard_normal((6, 3, 9, 7)).astype(np.float32)
    inner = program.clone()
    inner.graph.outputs.extend(inner.values()[name] for name in ("one", "two"))
    wanted = Session(inner).run({"x": x}, ["two", "one"])
    probe = base.run(program, [Observe(("two", "one"))])
    found = Session(probe).run({"x": x})
    assert list(found) == [*moments_of(0), *moments_of(1)]
    for number, value in enumerate(wanted.values()):
        exact = value.astype(np.float64)
        mean, variance = (found[name][:, :, 0, 0] for name in moments_of(number))
        np.testing.assert_allclose(mean, exact.mean((2, 3)), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(variance, exact.var((2, 3)), rtol=1e-3)
    assert "fc" not in {node.name for node in probe.graph}
