"""Automatic padding is written as the pads that onnxruntime would choose."""

import numpy as np
import pytest

from hydrafy.errors import ModelError
from hydrafy.passes.normalise.auto_pads import ExplicitPads
from hydrafy.passes.normalise.shapes import InferShapes
from tests.passes.sources import compute, program, weight

NODES = {
    "Conv": "Conv <auto_pad = MODE, strides = [S, 2]> (x, w)",
    "MaxPool": "MaxPool <auto_pad = MODE, kernel_shape = [3, 2], strides = [S, 2]> (x)",
    "AveragePool": "AveragePool <auto_pad = MODE, kernel_shape = [3, 2], strides = [S, 1]> (x)",
}


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("node", NODES)
def test_the_same_is_computed_with_pads(node: str, stride: int, mode: str) -> None:
    body = NODES[node].replace("MODE", f'"{mode}"').replace("S,", f"{stride},")
    made = program(
        f"g (float[N,2,9,8] x) => (float[N,C,A,B] y) {{ y = {body} }}", w=weight(3, 2, 4, 3)
    )
    InferShapes().apply(made)
    x = weight(2, 2, 9, 8, seed=1)
    wanted = compute(made.clone(), {"x": x})
    assert ExplicitPads().apply(made) == ["1 nodes with auto_pad got pads"]
    assert "auto_pad" not in made.graph[0].attributes
    np.testing.assert_allclose(compute(made, {"x": x})[0], wanted[0], atol=1e-6, strict=True)


def test_dilations_widen_the_window() -> None:
    """onnxruntime itself cannot run such a node."""
    made = program(
        """
        g (float[N,2,9,8] x) => (float[N,3,9,8] y) {
          y = Conv <auto_pad = "SAME_LOWER", dilations = [2, 1]> (x, w)
        }""",
        w=weight(3, 2, 4, 2),
    )
    ExplicitPads().apply(made)
    assert made.graph[0].attributes["pads"].as_ints() == (3, 1, 3, 0)
    assert compute(made, {"x": weight(2, 2, 9, 8)})[0].shape == (2, 3, 9, 8)


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER"])
def test_a_dilated_pooling_is_refused(mode: str) -> None:
    """Its result is [5, 5] in onnxruntime 1.31, and [6, 6] by ONNX."""
    made = program(
        f"""
        g (float[N,2,6,6] x) => (float[N,2,A,B] y) {{
          y = MaxPool <auto_pad = "{mode}", kernel_shape = [2, 2], dilations = [2, 2]> (x)
        }}"""
    )
    assert compute(made.clone(), {"x": weight(1, 2, 6, 6)})[0].shape == (1, 2, 5, 5)
    InferShapes().apply(made)
    assert list(made.graph.outputs[0].shape or ())[2:] == [6, 6]
    with pytest.raises(ModelError, match=f"auto_pad = '{mode}' and dilations"):
        ExplicitPads().apply(made)


def test_other_words_are_refused() -> None:
    made = program(
        'g (float[N,2,9,8] x) => (float[N,C,A,B] y) { y = Conv <auto_pad = "SAME"> (x, w) }',
        w=weight(3, 2, 3, 3),
    )
    with pytest.raises(ModelError, match="node 'y' has auto_pad = 'SAME', which ONNX has not"):
        ExplicitPads().apply(made)
