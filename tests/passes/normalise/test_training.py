"""A file in training mode is read as the network at inference."""

import numpy as np
import pytest

from hydrafy.errors import ModelError
from hydrafy.passes.normalise.training import InferenceMode
from tests.passes.sources import compute, ops, program, weight

STATISTICS = {"s": abs(weight(2)), "b": weight(2), "m": weight(2, seed=1), "v": abs(weight(2))}
GRAPH = "g (float[N,2,4,4] x) => (float[N,2,4,4] y)"


@pytest.mark.parametrize(
    ("opset", "node"),
    [
        (9, "y, m1, v1, m2, v2 = BatchNormalization (x, s, b, m, v)"),
        (14, "y, m1, v1 = BatchNormalization <training_mode = 1> (x, s, b, m, v)"),
        (18, "y, m1, v1 = BatchNormalization <training_mode = 1> (x, s, b, m, v)"),
    ],
)
def test_running_statistics_are_used(opset: int, node: str) -> None:
    plain = program(f"{GRAPH} {{ y = BatchNormalization (x, s, b, m, v) }}", **STATISTICS)
    made = program(f"{GRAPH} {{ {node} }}", opset=opset, **STATISTICS)
    assert InferenceMode().apply(made) == [
        "1 BatchNormalizations in training mode use their running statistics"
    ]
    x = weight(3, 2, 4, 4, seed=2)
    np.testing.assert_array_equal(compute(made, {"x": x})[0], compute(plain, {"x": x})[0])


def test_a_dropout_in_training_mode_passes_on() -> None:
    made = program(
        f"{GRAPH} {{ a = Dropout (x, ratio, train)  y = Relu (a) }}",
        ratio=np.float32(0.5),
        train=np.array(True),
    )
    assert InferenceMode().apply(made) == []
    assert [len(n.inputs) for n in made.graph] == [2, 1]
    x = weight(3, 2, 4, 4)
    np.testing.assert_array_equal(compute(made, {"x": x})[0], np.maximum(x, 0))


def test_eval_mode_stays() -> None:
    made = program(f"{GRAPH} {{ y = BatchNormalization (x, s, b, m, v) }}", **STATISTICS)
    assert InferenceMode().apply(made) == []
    assert ops(made) == ["BatchNormalization"]


def test_statistics_that_are_read_are_refused() -> None:
    made = program(
        "g (float[N,2,4,4] x) => (float[N,2,4,4] y, float[2] p) "
        "{ y, p, q = BatchNormalization <training_mode = 1> (x, s, b, m, v) }",
        **STATISTICS,
    )
    made.graph[0].name = "culprit"
    with pytest.raises(ModelError, match="'culprit' is in training mode, and its"):
        InferenceMode().apply(made)
