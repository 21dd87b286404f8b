"""Sums become Adds, and a block's shortcut stays what its last Add reads."""

import numpy as np

from hydrafy.ir.text import text
from hydrafy.passes.normalise.shapes import InferShapes
from hydrafy.passes.normalise.sums import AddPairs
from tests.passes.sources import compute, ops, program


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
    assert AddPairs().apply(made) == [
        "2 Sums became Adds",
        "1 Sums of one value went",
    ]
    assert text(made) == (
        "in  x:float[N,4]\n"
        "let v:float[4] = [1.0, 1.0, 1.0, 1.0]\n"
        "a:float[N,4] = Add(x, v)\n"
        "b:float[N,4] = Relu(a)\n"
        "c:float[N,4] = Sigmoid(a)\n"
        "d.partial3:float[N,4] = Add(c, b)\n"
        "y:float[N,4] = Add(d.partial3, a)\n"
        "out y\n"
    )
    np.testing.assert_allclose(compute(made, {"x": x})[0], wanted[0], rtol=1e-6)


def test_a_sum_of_one_value_that_is_an_output_too() -> None:
    made = program(
        """
        g (float[N,4] x) => (float[N,4] y, float[N,4] z, float[N,4] same) {
          y = Sum (x)
          a = Relu (x)
          z = Sum (a)
          same = Sum (z)
        }"""
    )
    InferShapes().apply(made)
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    wanted = compute(made.clone(), {"x": x})
    assert AddPairs().apply(made) == ["3 Sums of one value went"]
    assert ops(made) == ["Identity", "Relu", "Identity"]
    assert [v.name for v in made.graph.outputs] == ["y", "z", "same"]
    for found, old in zip(compute(made, {"x": x}), wanted, strict=True):
        np.testing.assert_array_equal(found, old)
