import numpy as np
import pytest

from hydrafy.errors import ModelError
from hydrafy.train.importer import to_torch
from tests.train.programs import Sketch, agree, single

KINDS = [
    "Relu", "LeakyRelu", "Elu", "Celu", "Selu", "Sigmoid", "Tanh", "Erf", "Softplus", "Mish",
    "HardSwish", "HardSigmoid", "Softmax", "LogSoftmax",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_activations_agree_with_onnxruntime(kind: str) -> None:
    agree(single(kind, (3, 6)))


def test_hard_sigmoid_has_a_slope_and_an_offset() -> None:
    agree(single("HardSigmoid", (3, 6), alpha=1 / 6, beta=0.4))


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        ("LeakyRelu", {"alpha": 0.3}),
        ("Elu", {"alpha": 0.7}),
        ("Celu", {"alpha": 2.0}),
        ("Selu", {"alpha": 1.5, "gamma": 0.6}),
    ],
)
def test_slopes_below_zero(kind: str, numbers: dict[str, float]) -> None:
    agree(single(kind, (3, 6), **numbers))


@pytest.mark.parametrize("shape", [(1,), (3, 1, 1), (3, 4, 4)])
def test_prelu_learns_its_slope(shape: tuple[int, ...]) -> None:
    slope = np.random.default_rng(0).uniform(-0.5, 1.5, shape).astype(np.float32)
    module = agree(single("PRelu", (3, 4, 4), slope))
    assert [n for n, _ in module.named_parameters()] == ["c0"]


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("axis", [1, 2, -2])
def test_softmax_over_any_axis(kind: str, axis: int) -> None:
    agree(single(kind, (3, 6), axis=axis))


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
        to_torch(s.program(s.op("Clip", [s.x, s.x], "y"), checked=False))
