"""What is a Relu in other words becomes one, and other bounds stay."""

import numpy as np
import pytest

from hydrafy.passes.normalise.relus import PlainRelus
from hydrafy.passes.normalise.shapes import InferShapes
from tests.passes.sources import compute, ops, program, weight

CASES = {
    "Clip (x, zero)": "Relu",
    "Clip (x, zero, )": "Relu",
    "Clip (x, zero, infinity)": "Relu",
    "Max (x, zero)": "Relu",
    "Max (zeros, x)": "Relu",
    "Clip (x, , six)": "Clip",
    "Clip (x, zero, six)": "Clip",
    "Clip (x, six)": "Clip",
    "Clip (x)": "Clip",
    "Max (x, six)": "Max",
    "Max (x, wide)": "Max",
    "Max (x, x)": "Max",
}


@pytest.mark.parametrize("node", CASES)
def test_relus(node: str) -> None:
    made = program(
        f"g (float[N,1,4,4] x) => (float[N,A,4,4] y) {{ y = {node} }}",
        zero=np.float32(0),
        zeros=np.zeros(4, np.float32),
        wide=np.zeros((1, 3, 4, 4), np.float32),
        infinity=np.float32(np.inf),
        six=np.float32(6),
    )
    InferShapes().apply(made)
    x = weight(2, 1, 4, 4)
    wanted = compute(made.clone(), {"x": x})
    notes = PlainRelus().apply(made)
    assert ops(made) == [CASES[node]]
    assert len(notes) == (CASES[node] == "Relu")
    np.testing.assert_array_equal(compute(made, {"x": x})[0], wanted[0], strict=True)
