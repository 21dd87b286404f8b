"""A prediction that is a map of one point becomes a vector, and nothing else does."""

import numpy as np
import pytest

from hydrafy.passes.normalise.prediction import FlatPrediction
from hydrafy.passes.normalise.shapes import InferShapes
from tests.passes.sources import compute, ops, program, weight


def test_the_output_is_flat_under_its_name() -> None:
    made = program(
        "g (float[N,4,3,3] x) => (float[N,4,1,1] y, float[N,4,1,1] z) {"
        " y = GlobalAveragePool (x) z = Relu (y) }"
    )
    InferShapes().apply(made)
    x = weight(2, 4, 3, 3)
    before = compute(made.clone(), {"x": x})
    (note,) = FlatPrediction().apply(made)
    assert note == "output 'y' is [N,4] now, no longer [N,4,1,1]"
    after = compute(made, {"x": x})
    np.testing.assert_array_equal(after[0], before[0].reshape(2, 4), strict=True)
    np.testing.assert_array_equal(after[1], before[1], strict=True)
    assert [v.name for v in made.graph.outputs] == ["y", "z"]


@pytest.mark.parametrize("body", ["y = Relu (x)", "y = Flatten (x)"])
def test_other_outputs_stay(body: str) -> None:
    made = program(f"g (float[N,4,3,3] x) => (float y) {{ {body} }}")
    made.graph.outputs[0].shape = None
    InferShapes().apply(made)
    assert FlatPrediction().apply(made) == []
    assert len(ops(made)) == 1
