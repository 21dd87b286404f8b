"""Residual networks have the sizes of their papers' tables, and torchvision's names."""

import pytest

from tests.zoo.sizes import empty, parameters


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)
def test_cifar_resnets(depth: int, millions: float) -> None:
    """He et al. 2015, table 6."""
    assert parameters(f"resnet{depth}") / 1e6 == pytest.approx(millions, rel=0.03)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet152", 60_192_808),
        ("resnext101_32x8d", 88_791_336),
    ],
)
def test_imagenet_sizes_are_torchvisions(name: str, count: int) -> None:
    assert parameters(name) == count


def test_a_wide_resnet50_is_torchvisions() -> None:
    assert parameters("resnext50", cardinality=1, base_width=128) == 68_883_240


def test_imagenet_names_are_torchvisions() -> None:
    names = set(empty("resnet50").state_dict())
    assert {
        "conv1.weight",
        "bn1.running_var",
        "layer1.0.conv3.weight",
        "layer1.0.downsample.0.weight",
        "layer4.0.downsample.1.bias",
        "layer4.2.bn3.num_batches_tracked",
        "fc.bias",
    } <= names
    assert len(names) == 320  # of torchvision's resnet50


@pytest.mark.parametrize(("name", "millions"), [("resnext29", 34.4), ("resnext29_16x64d", 68.1)])
def test_cifar_resnexts(name: str, millions: float) -> None:
    """Xie et al., table 7."""
    assert parameters(name) / 1e6 == pytest.approx(millions, abs=0.06)


@pytest.mark.parametrize(
    ("depth", "block", "millions"),
    [(110, "basic", 1.7), (164, "bottleneck", 1.7), (1001, "bottleneck", 10.2)],
)
def test_preactivation_resnets(depth: int, block: str, millions: float) -> None:
    """He et al. 2016, table 4: parameters as rounded there."""
    found = parameters(f"preact_resnet{depth}", block=block) / 1e6
    assert found == pytest.approx(millions, rel=0.02)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("wrn40_1", 0.6),
        ("wrn40_2", 2.2),
        ("wrn40_4", 8.9),
        ("wrn40_8", 35.7),
        ("wrn28_10", 36.5),
        ("wrn28_12", 52.5),
        ("wrn22_8", 17.2),
        ("wrn16_8", 11.0),
        ("wrn16_10", 17.1),
    ],
)
def test_wide_resnets(name: str, millions: float) -> None:
    """Zagoruyko and Komodakis, table 4."""
    assert round(parameters(name, classes=10) / 1e6, 1) == millions
