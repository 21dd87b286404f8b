"""What stands in the way of later steps is refused by its name."""

import numpy as np
import pytest

from hydrafy.errors import ModelError
from hydrafy.passes.normalise.accept import Accept
from hydrafy.runtime.read import read
from tests.passes.sources import model, program, weight

REFUSED = [
    (
        "y, m, s = BatchNormalization <training_mode = 1> (x, v, v, v, v)",
        "node 'culprit' is in training mode: export the model in eval mode",
    ),
]


@pytest.mark.parametrize(("body", "message"), REFUSED)
def test_a_node_is_refused_by_its_name(body: str, message: str) -> None:
    made = program(f"g (float[N,2,4,4] x) => (float[N,2,4,4] y) {{ {body} }}", v=abs(weight(2)))
    made.graph[0].name = "culprit"
    with pytest.raises(ModelError, match=message):
        Accept().apply(made)
    assert made.stage == "source"


@pytest.mark.parametrize("kind", ["double", "float16", "uint8"])
def test_other_types_of_images_are_refused(kind: str) -> None:
    made = program(f"g ({kind}[N,2,4,4] x) => ({kind}[N,2,4,4] y) {{ y = Identity (x) }}")
    with pytest.raises(ModelError, match=r"input 'x' is .*: float32 is needed"):
        Accept().apply(made)


def test_a_weight_that_is_an_output_is_refused_by_its_own_name() -> None:
    made = model(
        "g (float[N,2,4,4] x) => (float[N,2,4,4] y, float[2,2,1,1] w) { y = Conv (x, w) }",
        w=weight(2, 2, 1, 1),
    )
    with pytest.raises(ModelError, match="output 'w' is no result"):
        read(made)


def test_an_input_that_is_an_output_is_refused() -> None:
    made = program("g (float[N,2,4,4] x) => (float[N,2,4,4] y) { y = Relu (x) }")
    made.graph.outputs.append(made.graph.inputs[0])
    with pytest.raises(ModelError, match="output 'x' is no result but a weight or an input"):
        Accept().apply(made)


def test_what_is_known_is_static() -> None:
    made = program(
        "g (float[N,2,4,4] x) => (float[N,2,4,4] y) { y = BatchNormalization (x, v, v, v, v) }",
        v=np.ones(2, np.float32),
    )
    assert Accept().apply(made) == []
    assert made.stage == "static"


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(number: float) -> None:
    kernel = weight(2, 2, 1, 1)
    kernel[1, 0] = number
    made = program("g (float[N,2,4,4] x) => (float[N,2,4,4] y) { y = Conv (x, w) }", w=kernel)
    with pytest.raises(ModelError, match="weight 'w' has numbers that are not finite"):
        Accept().apply(made)


def test_a_bound_may_be_infinite() -> None:
    body = "y = Clip (x, low, high)"
    made = program(
        f"g (float[N,2,4,4] x) => (float[N,2,4,4] y) {{ {body} }}",
        low=np.float32(0),
        high=np.float32(np.inf),
    )
    Accept().apply(made)
    assert made.stage == "static"
