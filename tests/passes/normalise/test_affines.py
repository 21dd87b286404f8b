"""Factors and offsets of channels are part of layers, those of pixels and activations are not."""

import numpy as np
import pytest

from hydrafy.passes.normalise.affines import FoldAffines
from hydrafy.passes.normalise.shapes import InferShapes
from tests.passes.sources import compute, ops, program, weight

LAYER = "b = Conv (x, w)"
CASES = {
    "scale layer": (f"{LAYER} c = Mul (b, s) y = Add (t, c)", ["Conv"]),
    "division": (f"{LAYER} c = Div (b, s) y = Sub (c, t)", ["Conv"]),
    "turned round": (f"{LAYER} y = Sub (t, b)", ["Conv"]),
    "with bias": ("b = Conv (x, w, v) c = Mul (b, s) y = Add (c, t)", ["Conv"]),
    "behind a norm": (
        f"{LAYER} n = BatchNormalization (b, p, v, v, p) c = Mul (b, n) d = Mul (n, s)"
        " e = BatchNormalization (d, p, v, v, p) f = Mul (e, s) g = Add (f, t) y = Add (c, g)",
        ["Conv", "BatchNormalization", "Mul", "BatchNormalization", "BatchNormalization", "Add"],
    ),
    "alone": (
        f"{LAYER} r = Relu (b) c = Mul (r, s) d = Add (c, t) y = Relu (d)",
        ["Conv", "Relu", "BatchNormalization", "Relu"],
    ),
    "two readers": (
        f"{LAYER} c = Mul (b, s) y = Add (b, c)",
        ["Conv", "BatchNormalization", "Add"],
    ),
    "one number": (f"{LAYER} c = Add (b, one) y = Mul (b, c)", ["Conv", "Add", "Mul"]),
    "along the width": (f"{LAYER} y = Mul (b, wide)", ["Conv", "Mul"]),
    "reciprocal": (f"{LAYER} r = Sigmoid (b) y = Div (s, r)", ["Conv", "Sigmoid", "Div"]),
    "pixels": ("a = Sub (x, i) q = Mul (a, i) y = Conv (q, w)", ["Sub", "Mul", "Conv"]),
    "turned pixels": (
        "h = Transpose <perm = [0, 1, 3, 2]> (x) a = Sub (h, i) y = Conv (a, w)",
        ["Transpose", "Sub", "Conv"],
    ),
}  # fmt: skip


ALONE = {
    "behind a norm": ["Conv", "BatchNormalization", "Mul", "Mul", "BatchNormalization", "Add"],
    "alone": ["Conv", "Relu", "Mul", "Add", "Relu"],
    "two readers": ["Conv", "Mul", "Add"],
}
"""What of these cases stays an affine while the network is to be trained."""


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("alone", [True, False])
def test_affines(case: str, alone: bool) -> None:
    body, wanted = CASES[case]
    wanted = wanted if alone else ALONE.get(case, wanted)
    made = program(
        f"g (float[N,2,5,3] x) => (float[N,3,A,B] y) {{ {body} }}",
        w=weight(3, 2, 1, 1),
        v=weight(3, seed=1),
        p=abs(weight(3, seed=2)),
        s=weight(1, 3, 1, 1, seed=3),
        t=weight(3, 1, 1, seed=4),
        i=weight(2, 1, 1, seed=5),
        wide=weight(3),
        one=weight(1, 1, 1),
    )
    InferShapes().apply(made)
    x = weight(2, 2, 5, 3, seed=6)
    before = compute(made.clone(), {"x": x})
    before_ops = ops(made)
    notes = FoldAffines(alone).apply(made)
    assert ops(made) == wanted
    assert bool(notes) == (before_ops != wanted)
    np.testing.assert_allclose(compute(made, {"x": x})[0], before[0], rtol=1e-4, atol=1e-5)
    assert made.graph.outputs[0].name == "y"


def test_a_shared_kernel_is_scaled_for_one_reader_only() -> None:
    made = program(
        """
        g (float[N,2,4,4] x) => (float[N,2,4,4] y) {
          a = Conv (x, w)
          b = Mul (a, s)
          y = Conv (b, w)
        }""",
        w=weight(2, 2, 1, 1),
        s=weight(2, 1, 1, seed=1),
    )
    InferShapes().apply(made)
    x = weight(2, 2, 4, 4, seed=2)
    before = compute(made.clone(), {"x": x})
    assert FoldAffines().apply(made) == ["1 affine nodes went into the layer before them"]
    np.testing.assert_array_equal(made.weight("w"), weight(2, 2, 1, 1))
    np.testing.assert_allclose(compute(made, {"x": x})[0], before[0], rtol=1e-4, atol=1e-5)
