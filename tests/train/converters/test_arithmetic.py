import numpy as np
import pytest

from hydrafy.errors import ModelError
from hydrafy.train.importer import to_torch
from tests.train.programs import Sketch, agree, single


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize(
    "other", [np.float32(3), np.array([2], np.float32), np.ones((3, 1, 1), "f")]
)
def test_binary_ops_agree_with_onnxruntime(kind: str, other: np.ndarray) -> None:
    agree(single(kind, (3, 4, 4), np.asarray(other)))
    s = Sketch()
    agree(s.program(s.op(kind, [s.weight("c", np.asarray(other)), s.x], "y")))


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div", "Sum"])
def test_both_operands_may_be_one_value(kind: str) -> None:
    s = Sketch()
    agree(s.program(s.op(kind, [s.x, s.x], "y")))


@pytest.mark.parametrize("power", [2, 3, 0.5])
def test_powers_and_roots(power: float) -> None:
    s = Sketch()
    positive = s.op("Softplus", [s.x], "positive")
    root = s.op("Sqrt", [positive], "root")
    agree(s.program(s.op("Pow", [root, s.weight("power", np.float32(power))], "y")))


def test_sum_takes_one_or_more_operands() -> None:
    agree(single("Sum", (3, 4, 4)))
    agree(single("Sum", (3, 4, 4), np.float32([[[1]]]), np.float32(2)))


def test_a_vector_is_trained_and_a_scalar_is_a_constant() -> None:
    s = Sketch()
    scaled = s.op("Mul", [s.x, s.weight("sixth", np.array(1 / 6, np.float32))], "scaled")
    module = to_torch(s.program(s.op("Add", [scaled, s.random("shift", 3, 1, 1)], "y")))
    assert [n for n, _ in module.named_parameters()] == ["shift"]
    assert not list(module.buffers())


def test_a_division_of_integers_is_refused() -> None:
    s = Sketch()
    whole = s.op("Cast", [s.x], "whole", to=7)
    with pytest.raises(ModelError, match="divides integers"):
        to_torch(s.program(s.op("Div", [whole, s.weight("two", np.array([2]))], "y")))
