import numpy as np
import pytest

from hydrafy.errors import ModelError
from hydrafy.train.importer import to_torch
from tests.train.programs import Sketch, agree, single


@pytest.mark.parametrize("kind", ["Relu", "Sigmoid", "HardSwish", "HardSigmoid", "Softmax"])
def test_activations_agree_with_onnxruntime(kind: str) -> None:
    agree(single(kind, (3, 6)))


def test_hard_sigmoid_has_a_slope_and_an_offset() -> None:
    agree(single("HardSigmoid", (3, 6), alpha=1 / 6, beta=0.4))


@pytest.mark.parametrize("axis", [1, 2, -2])
def test_softmax_over_any_axis(axis: int) -> None:
    agree(single("Softmax", (3, 6), axis=axis))


@pytest.mark.parametrize(
    "bounds",
    [
        (),
        (np.float32(-0.5),),
        (np.float32(0), np.float32(0.25)),
        (None, np.float32(0.25)),
    ],
)
def test_clip_between_bounds_that_may_be_left_out(bounds: tuple) -> None:
    constants = [None if b is None else np.asarray(b) for b in bounds]
    module = agree(single("Clip", (3, 6), *constants))
    assert not list(module.parameters())


def test_a_computed_bound_is_refused() -> None:
    s = Sketch(())
    with pytest.raises(ModelError, match="'x' is no constant"):
        to_torch(s.program(s.op("Clip", [s.x, s.x], "y")))
