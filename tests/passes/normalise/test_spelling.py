"""Activations of later opsets are spelled out and compute the same."""

import numpy as np
import pytest

from hydrafy.passes.normalise.spelling import SpellOut
from tests.passes.sources import compute, ops, program, weight

KINDS = [
    (20, "Gelu (x)", "Gelu", 5),
    (20, 'Gelu <approximate = "tanh"> (x)', "Gelu", 8),
    (18, "com.microsoft.Gelu (x)", "Gelu", 5),
]


@pytest.mark.parametrize(("opset", "node", "kind", "count"), KINDS)
def test_an_activation_is_spelled_out(opset: int, node: str, kind: str, count: int) -> None:
    made = program(f"g (float[N,50] x) => (float[N,50] y) {{ y = {node} }}", opset=opset)
    made.graph.opset_imports["com.microsoft"] = 1
    x = weight(4, 50) * 3
    wanted = compute(made.clone(), {"x": x})[0]
    assert SpellOut().apply(made) == [f"1 {kind} nodes were spelled out"]
    assert len(made.graph) == count
    assert kind not in ops(made)
    np.testing.assert_allclose(compute(made, {"x": x})[0], wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("attribute", "alpha", "count"), [("", 1.0, 2), ("<alpha = 1.7>", 1.7, 3)])
def test_swish_is_spelled_out(attribute: str, alpha: float, count: int) -> None:
    """Against its definition: this onnxruntime may not have the op of opset 24 yet."""
    made = program(
        f"g (float[N,50] x) => (float[N,50] y) {{ y = Swish {attribute} (x) }}", opset=24
    )
    SpellOut().apply(made)
    made.graph.opset_imports[""] = 18
    assert len(made.graph) == count
    x = weight(4, 50)
    wanted = x / (1 + np.exp(-alpha * x))
    np.testing.assert_allclose(compute(made, {"x": x})[0], wanted, rtol=1e-5, atol=1e-6)
