"""Pooling over the whole image is global, and other pooling is not."""

import numpy as np
import pytest

from hydrafy.passes.normalise.global_pooling import GlobalPooling
from hydrafy.passes.normalise.shapes import InferShapes
from tests.passes.sources import compute, ops, program, weight

CASES = {
    "mean": ("y = ReduceMean (x, axes)", ["GlobalAveragePool"]),
    "flat mean": ("y = ReduceMean <keepdims = 0> (x, axes)", ["GlobalAveragePool", "Flatten"]),
    "maximum": ("y = ReduceMax <keepdims = 0> (x, axes)", ["GlobalMaxPool", "Flatten"]),
    "window": ("y = AveragePool <kernel_shape = [5, 6]> (x)", ["GlobalAveragePool"]),
    "counted": (
        "y = AveragePool <kernel_shape = [5, 6], strides = [5, 6], count_include_pad = 1> (x)",
        ["GlobalAveragePool"],
    ),
    "largest": ("y = MaxPool <kernel_shape = [5, 6]> (x)", ["GlobalMaxPool"]),
    "other axes": ("y = ReduceMean (x, others)", ["ReduceMean"]),
    "small window": ("y = AveragePool <kernel_shape = [5, 5]> (x)", ["AveragePool"]),
    "padded": (
        "y = AveragePool <kernel_shape = [5, 6], pads = [1, 0, 0, 0]> (x)",
        ["AveragePool"],
    ),
    "places": ("y, i = MaxPool <kernel_shape = [5, 6]> (x)", ["MaxPool"]),
}


@pytest.mark.parametrize("case", CASES)
def test_pooling(case: str) -> None:
    body, wanted = CASES[case]
    made = program(
        f"g (float[N,4,5,6] x) => (float y) {{ {body} }}",
        axes=np.array([-1, 2]),
        others=np.array([1, 2]),
    )
    made.graph.outputs[0].shape = None
    InferShapes().apply(made)
    x = weight(2, 4, 5, 6)
    before = compute(made.clone(), {"x": x})
    notes = GlobalPooling().apply(made)
    assert ops(made) == wanted
    assert len(notes) == wanted[0].startswith("Global")
    np.testing.assert_allclose(compute(made, {"x": x})[0], before[0], atol=1e-6, strict=True)
    assert made.graph.outputs[0].name == "y"
