"""Concats that repeat each other are chained, and compute what they did."""

import numpy as np

from hydrafy.passes.normalise.concats import ChainConcats
from tests.passes.sources import compute, ops, program, weight

DENSE = """
g (float[N,2,3,3] x) => (float[N,16,3,3] y) {
  a = Relu (x)
  ab = Concat <axis = 1> (x, a)
  b = Sigmoid (ab)
  abc = Concat <axis = 1> (x, a, b)
  c = Sigmoid (abc)
  y = Concat <axis = 1> (x, a, b, c)
}"""


def test_a_dense_block_becomes_a_chain() -> None:
    made = program(DENSE)
    x = weight(2, 2, 3, 3, seed=1)
    wanted = compute(made.clone(), {"x": x})
    assert ChainConcats().apply(made) == ["2 Concats read an earlier one's result"]
    reads = [[v.name for v in n.inputs] for n in made.graph if n.op_type == "Concat"]
    assert reads == [["x", "a"], ["ab", "b"], ["abc", "c"]]
    np.testing.assert_array_equal(compute(made, {"x": x})[0], wanted[0])
    assert ChainConcats().apply(made) == []


def test_another_axis_or_order_stays() -> None:
    made = program(
        """
        g (float[N,2,3,3] x) => (float[N,4,3,3] p, float[N,2,9,3] q, float[N,6,3,3] r) {
          a = Relu (x)
          p = Concat <axis = 1> (x, a)
          q = Concat <axis = 2> (x, a, a)
          r = Concat <axis = 1> (a, x, a)
        }"""
    )
    before = ops(made)
    assert ChainConcats().apply(made) == []
    assert ops(made) == before
