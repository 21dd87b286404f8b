"""Sums become Adds, and a block's shortcut stays what its last Add reads."""

import numpy as np

from hydrafy.ir.text import text
from hydrafy.passes.normalise.shapes import InferShapes
from hydrafy.passes.normalise.sums import AddPairs
from tests.passes.sources import compute, program


def test_sums_of_two_three_and_one() -> None:
    made = program(
        """
        g (float[N,4] x) => (float[N,4] y) {
          a = Sum (x, v)
          b = Relu (a)
          c = Sigmoid (a)
          d = Sum (a, b, c)
          y = Sum (d)
        }""",
        v=np.ones(4, np.float32),
    )
    InferShapes().apply(made)
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    wanted = compute(made.clone(), {"x": x})
    assert AddPairs().apply(made) == ["2 Sums became Adds"]
    assert text(made) == (
        "in  x:float[N,4]\n"
        "let v:float[4] = [1.0, 1.0, 1.0, 1.0]\n"
        "a:float[N,4] = Add(x, v)\n"
        "b:float[N,4] = Relu(a)\n"
        "c:float[N,4] = Sigmoid(a)\n"
        "d.partial3:float[N,4] = Add(c, b)\n"
        "d:float[N,4] = Add(d.partial3, a)\n"
        "y:float[N,4] = Sum(d)\n"
        "out y\n"
    )
    np.testing.assert_allclose(compute(made, {"x": x})[0], wanted[0], rtol=1e-6)
