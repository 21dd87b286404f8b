"""Activations that are written out are found, and nothing else is taken for one."""

import numpy as np
import pytest

from hydrafy.passes.normalise.activations import FindActivations
from tests.passes.sources import compute, ops, program, weight

SIXTH = 1 / 6
FOUND = [
    (f"a = HardSigmoid <alpha = {SIXTH}> (x)  y = Mul (x, a)", "HardSwish"),
    (f"a = HardSigmoid <alpha = {SIXTH}> (x)  y = Mul (a, x)", "HardSwish"),
    ("a = Softplus (x)  b = Tanh (a)  y = Mul (x, b)", "Mish"),
]
KEPT = [
    "a = HardSigmoid (x)  y = Mul (x, a)",
    f"a = HardSigmoid <alpha = {SIXTH}> (x)  b = Relu (x)  y = Mul (b, a)",
    f"a = HardSigmoid <alpha = {SIXTH}> (x)  b = Mul (x, a)  y = Add (a, b)",
    "a = Sigmoid (x)  y = Mul (x, a)",
    "b = Tanh (x)  y = Mul (x, b)",
]


@pytest.mark.parametrize(("body", "kind"), FOUND)
def test_an_activation_is_found(body: str, kind: str) -> None:
    made = program(f"g (float[N,50] x) => (float[N,50] y) {{ {body} }}")
    x = weight(4, 50) * 3
    wanted = compute(made.clone(), {"x": x})[0]
    assert FindActivations().apply(made) == [f"1 {kind} nodes were found"]
    assert ops(made) == [kind]
    np.testing.assert_allclose(compute(made, {"x": x})[0], wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("body", KEPT)
def test_other_products_stay(body: str) -> None:
    made = program(f"g (float[N,50] x) => (float[N,50] y) {{ {body} }}")
    before = ops(made)
    assert FindActivations().apply(made) == []
    assert ops(made) == before
