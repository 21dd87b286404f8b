"""Expands that broadcasting does go, others stay."""

import numpy as np
import pytest

from hydrafy.passes.normalise.expands import DropExpands
from hydrafy.passes.normalise.shapes import InferShapes
from tests.passes.sources import compute, ops, program, weight


@pytest.mark.parametrize("kind", ["Mul", "Add", "Sub", "Div"])
@pytest.mark.parametrize("batch", ["N", "3"])
def test_an_expand_before_a_product_goes(kind: str, batch: str) -> None:
    made = program(
        f"""
        g (float[{batch},2,4,4] x) => (float[{batch},2,4,4] y) {{
          p = GlobalAveragePool (x)
          s = Shape (x)
          e = Expand (p, s)
          y = {kind} (x, e)
        }}"""
    )
    x = weight(3, 2, 4, 4)
    wanted = compute(made.clone(), {"x": x})[0]
    InferShapes().apply(made)
    assert DropExpands().apply(made) == ["1 Expands that broadcasting does went"]
    assert ops(made) == ["GlobalAveragePool", kind]
    np.testing.assert_array_equal(compute(made, {"x": x})[0], wanted)


STAY = [
    "e = Expand (p, t)  y = Relu (e)",
    "e = Expand (p, t)  y = Mul (p, e)",
    "e = Expand (p, t)  f = Relu (e)  y = Mul (e, f)",
    "e = Expand (p, t)  y = Mul (e, e)",
]


@pytest.mark.parametrize("body", STAY)
def test_an_expand_that_makes_the_shape_stays(body: str) -> None:
    made = program(
        f"g (float[3,2,4,4] x) => (float[3,2,4,4] y) {{ p = GlobalAveragePool (x)  {body} }}",
        t=np.array([3, 2, 4, 4]),
    )
    InferShapes().apply(made)
    before = ops(made)
    assert DropExpands().apply(made) == []
    assert ops(made) == before
