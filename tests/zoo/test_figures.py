"""The papers' figures come out of our own count, on files that were written and read again."""

from pathlib import Path

import pytest

from hydrafy import zoo
from hydrafy.analysis.cost import Cost, cost
from hydrafy.runtime.read import read
from tests.zoo.sizes import macs, parameters


def counted(folder: Path, name: str, **options: object) -> Cost:
    return cost(read(zoo.export(name, folder / "x.onnx", settled=False, **options)))


@pytest.mark.parametrize(
    ("name", "count", "giga"),
    [
        ("resnet50", 25_557_032, 4.09),
        ("resnext50_32x4d", 25_028_904, 4.23),
        ("resnet101", 44_549_160, 7.80),
        ("densenet121", 7_978_856, 2.83),
        ("densenet169", 14_149_480, 3.36),
    ],
)
def test_imagenet_networks_cost_what_torchvision_says(
    tmp_path: Path, name: str, count: int, giga: float
) -> None:
    """Its tables give MACs as GFLOPS, to two decimals."""
    found = counted(tmp_path, name)
    assert found.parameters == count
    assert round(found.macs / 1e9, 2) == giga


@pytest.mark.parametrize(
    ("depth", "millions", "madds"),
    [
        (14, 0.17, 52),
        (20, 0.27, 81),
        (26, 0.37, 109),
        (32, 0.47, 137),
        (56, 0.85, 250),
        (110, 1.73, 505),
        (164, 2.60, 760),
    ],
)
def test_cifar_resnets_cost_what_hydranets_say(
    tmp_path: Path, depth: int, millions: float, madds: int
) -> None:
    """HydraNets (CVPR 2018), table 3: both truncated, two MADDs to a MAC."""
    found = counted(tmp_path, f"resnet{depth}", classes=100)
    assert found.parameters // 10_000 / 100 == millions
    assert 2 * found.macs // 10**6 == madds


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet14", {"shortcut": "B", "width": 4, "size": 16}),
        ("resnext11_2x8d", {"size": 16}),
        ("preact_resnet11", {"block": "bottleneck", "width": 4, "size": 16}),
        ("wrn10_2", {"size": 16}),
        ("densenet16", {"size": 16}),
        ("ressep", {"size": 64, "w": 0.25}),
        ("msdnet", {"size": 16, "exits": 3}),
    ],
)
def test_every_family_is_read_and_costs_what_torch_counts(
    tmp_path: Path, name: str, options: dict[str, object]
) -> None:
    found = counted(tmp_path, name, **options)
    assert found.parameters == parameters(name, **options)
    assert found.macs == macs(name, **options)
