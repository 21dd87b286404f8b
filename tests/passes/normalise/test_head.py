"""Classifiers of 1x1 convolutions become fully connected layers; gates inside stay maps."""

import numpy as np
import pytest

from hydrafy.ir.verify import verify
from hydrafy.passes.normalise.head import FlatHead
from hydrafy.passes.normalise.shapes import InferShapes
from tests.passes.sources import compute, ops, program, weight

CASES = {
    "flattened": ("a = Conv (p, w, c) y = Flatten (a)", ["Flatten", "Gemm"]),
    "softmax": ("a = Conv (p, w) b = Softmax <axis = 1> (a) y = Flatten (b)",
                ["Flatten", "Gemm", "Softmax"]),
    "two layers": ("a = Conv (p, w, c) b = HardSwish (a) d = Conv (b, v) y = Flatten (d)",
                   ["Flatten", "Gemm", "HardSwish", "Gemm"]),
    "pooled logits": ("a = Conv (x, w) b = GlobalAveragePool (a) y = Flatten (b)",
                      ["Conv", "GlobalAveragePool", "Flatten"]),
    "another reader": ("a = Conv (p, w) b = Relu (a) s = Mul (a, b) y = Flatten (s)",
                       ["Conv", "Relu", "Mul", "Flatten"]),
    "two heads": (
        "a = Conv (p, w) b = Conv (p, v) d = Flatten (a) e = Flatten (b)"
        " y = Concat <axis = 1> (d, e)",
        ["Flatten", "Gemm", "Flatten", "Gemm", "Concat"],
    ),
    "groups": ("a = Conv <group = 2> (p, h) y = Flatten (a)", ["Conv", "Flatten"]),
    "useless softmax": ("a = Conv (p, w) b = Softmax <axis = 2> (a) y = Flatten (b)",
                        ["Conv", "Softmax", "Flatten"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_heads(case: str) -> None:
    body, wanted = CASES[case]
    made = program(
        f"g (float[N,6,5,5] x) => (float y) {{ p = GlobalAveragePool (x) {body} }}",
        w=weight(6, 6, 1, 1),
        v=weight(3, 6, 1, 1, seed=1),
        h=weight(6, 3, 1, 1, seed=2),
        c=weight(6, seed=3),
    )
    made.graph.outputs[0].shape = None
    InferShapes().apply(made)
    x = weight(2, 6, 5, 5, seed=4)
    (before,) = compute(made.clone(), {"x": x})
    notes = FlatHead().apply(made)
    assert [
        op for op in ops(made) if op != "GlobalAveragePool" or case == "pooled logits"
    ] == wanted
    assert bool(notes) == ("Gemm" in wanted)
    verify(made, by="the pass")
    (after,) = compute(made, {"x": x})
    assert after.shape == before.shape[:2] == (2, *list(made.graph.outputs[0].shape or ())[1:])
    np.testing.assert_allclose(after, before.reshape(after.shape), rtol=1e-5, atol=1e-6)
    assert made.graph.outputs[0].name == "y"


@pytest.mark.parametrize("axis", [0, 2, 3, 4, -1, -2])
def test_a_flatten_to_another_shape_stays(axis: int) -> None:
    made = program(
        f"g (float[N,6,5,5] x) => (float[A,B] y) {{ p = GlobalAveragePool (x) a = Conv (p, w)"
        f" y = Flatten <axis = {axis}> (a) }}",
        w=weight(6, 6, 1, 1),
    )
    InferShapes().apply(made)
    assert FlatHead().apply(made) == []
    assert ops(made) == ["GlobalAveragePool", "Conv", "Flatten"]


def test_a_gate_is_left_alone() -> None:
    made = program(
        """
        g (float[N,6,5,5] x) => (float[N,6,5,5] y) {
          p = GlobalAveragePool (x)
          a = Conv (p, w)
          b = Sigmoid (a)
          y = Mul (x, b)
        }""",
        w=weight(6, 6, 1, 1),
    )
    InferShapes().apply(made)
    assert FlatHead().apply(made) == []
    assert ops(made) == ["GlobalAveragePool", "Conv", "Sigmoid", "Mul"]
