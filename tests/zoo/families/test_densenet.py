"""DenseNets have the sizes of the paper's tables, and torchvision's names."""

import pytest
import torch

from hydrafy import zoo
from tests.zoo.sizes import empty, parameters


@pytest.mark.parametrize(
    ("name", "millions"),
    [("densenet100", 0.8), ("densenet250_k24", 15.3), ("densenet190_k40", 25.6)],
)
def test_cifar_sizes(name: str, millions: float) -> None:
    """Huang et al., table 2, DenseNet-BC."""
    assert round(parameters(name) / 1e6, 1) == millions


def test_densenet201_is_torchvisions() -> None:
    assert parameters("densenet201") == 20_013_928


def test_names_are_torchvisions() -> None:
    names = set(empty("densenet121").state_dict())
    assert {
        "features.conv0.weight",
        "features.norm0.running_mean",
        "features.denseblock1.denselayer1.norm1.weight",
        "features.denseblock4.denselayer16.conv2.weight",
        "features.transition3.conv.weight",
        "features.norm5.bias",
        "classifier.weight",
    } <= names
    assert len(names) == 727  # of torchvision's densenet121


def test_a_layer_keeps_its_input_in_front() -> None:
    layer = zoo.build("densenet10", size=8).features.denseblock1.denselayer1
    x = torch.randn(2, 24, 8, 8)
    with torch.no_grad():
        y = layer(x)
    assert y.shape == (2, 36, 8, 8)
    assert torch.equal(y[:, :24], x)
