import numpy as np
import pytest

from hydrafy.errors import ModelError
from hydrafy.train.importer import to_torch
from tests.train.programs import agree, single


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(3, 5, 4), (3, 7), (3, 1, 2)])
def test_instance_normalization_agrees_with_onnxruntime(shape: tuple[int, ...]) -> None:
    weights = (noise(3), noise(3, seed=1))
    module = agree(single("InstanceNormalization", shape, *weights, epsilon=1e-3), sizes=(1, 5))
    assert len(list(module.parameters())) == 2


@pytest.mark.parametrize("axis", [-1, 1, 2])
@pytest.mark.parametrize("biased", [True, False])
def test_layer_normalization_agrees_with_onnxruntime(axis: int, biased: bool) -> None:
    shape = (3, 5, 4)[axis - 1 if axis > 0 else axis :]
    weights = [noise(*shape), noise(*shape, seed=1)][: 1 + biased]
    agree(single("LayerNormalization", (3, 5, 4), *weights, axis=axis, epsilon=1e-3), sizes=(1, 5))


def test_local_response_agrees_with_onnxruntime() -> None:
    agree(single("LRN", (7, 4, 4), size=5, alpha=0.5, beta=0.6, bias=2.0), sizes=(1, 5))
    agree(single("LRN", (7, 4, 4), size=3), sizes=(1, 5))


def test_an_even_window_of_channels_is_refused() -> None:
    with pytest.raises(ModelError, match="its window of 4 channels is even"):
        to_torch(single("LRN", (7, 4, 4), size=4))
