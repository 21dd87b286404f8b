"""Fully connected layers are Gemms of [outputs, inputs], however they were written."""

import numpy as np
import pytest

from hydrafy.passes.normalise.linear import LinearLayers
from hydrafy.passes.normalise.shapes import InferShapes
from tests.passes.sources import compute, ops, program, weight

CASES = {
    "matmul": ("y = MatMul (x, v)", 0),
    "bias": ("a = MatMul (x, v) y = Add (a, c)", 1),
    "bias first": ("a = MatMul (x, v) y = Add (row, a)", 1),
    "two biases": ("a = MatMul (x, v) b = Add (a, c) y = Add (b, one)", 1),
    "columns": ("y = Gemm (x, v, c)", 1),
    "factors": ("y = Gemm <alpha = 0.5, beta = 2.0> (x, v, c)", 1),
    "rows": ("a = Gemm <transB = 1> (x, u) y = Add (a, c)", 1),
    "one for all": ("y = Gemm <transB = 1> (x, u, one)", 1),
}


@pytest.mark.parametrize("case", CASES)
def test_spellings(case: str) -> None:
    body, biased = CASES[case]
    made = program(
        f"g (float[N,6] x) => (float[N,4] y) {{ {body} }}",
        v=weight(6, 4),
        u=weight(4, 6),
        c=weight(4, seed=1),
        row=weight(1, 4, seed=2),
        one=weight(1, seed=3),
    )
    InferShapes().apply(made)
    x = weight(3, 6, seed=4)
    wanted = compute(made.clone(), {"x": x})
    assert len(LinearLayers().apply(made)) == 1
    assert ops(made) == ["Gemm"]
    (layer,) = made.graph
    assert {a.name: a.value for a in layer.attributes.values()} == {"transB": 1}
    assert [list(v.shape or ()) for v in layer.inputs[1:] if v] == [[4, 6], [4]][: 1 + biased]
    np.testing.assert_allclose(compute(made, {"x": x})[0], wanted[0], rtol=1e-5, atol=1e-6)
    assert LinearLayers().apply(made) == []


STAY = [
    "a = MatMul (x, x) y = Add (a, m)",
    "a = Gemm <transB = 1> (x, u, c) y = Add (a, m)",
    "y = Gemm <transA = 1, transB = 1> (x, m, c)",
    "y = Gemm <transB = 1> (x, u, m)",
]


@pytest.mark.parametrize("body", STAY)
def test_other_products_stay(body: str) -> None:
    made = program(
        f"g (float[4,4] x) => (float[4,4] y) {{ {body} }}",
        u=weight(4, 4),
        m=weight(4, 4, seed=1),
        c=weight(4, seed=2),
    )
    InferShapes().apply(made)
    before = ops(made)
    assert LinearLayers().apply(made) == []
    assert ops(made) == before


def test_a_weight_that_two_layers_share_is_turned_for_each() -> None:
    made = program(
        """
        g (float[N,4] x) => (float[N,4] y) {
          a = MatMul (x, v)
          y = MatMul (a, v)
        }""",
        v=weight(4, 4),
    )
    InferShapes().apply(made)
    x = weight(3, 4, seed=1)
    LinearLayers().apply(made)
    np.testing.assert_allclose(
        compute(made, {"x": x})[0], x @ weight(4, 4) @ weight(4, 4), rtol=1e-5, atol=1e-6
    )
