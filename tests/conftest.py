"""Fixtures that many tests share: source networks, exported and read once, and real data."""

import functools
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

# Before torch loads: several tests run at once, and threads that wait for each other spin.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hydrafy.ir.program import Program
from hydrafy.runtime.read import read

DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def zoo_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`zoo_file(name, **options)`: a network of the zoo as ONNX, written once; not to be changed.

    By default small: size 16, and width 8 of ResNets, for CIFAR; size 32 for ImageNet. The name
    `bottleneck` is a network of four bottleneck blocks in two stages.
    """
    folder = tmp_path_factory.mktemp("zoo")

    @functools.cache
    def written(name: str, **options: object) -> Path:
        from hydrafy import zoo

        target = folder / f"{name}-{len(list(folder.iterdir()))}.onnx"
        if name == "bottleneck":
            return zoo.export_onnx(_bottlenecks(), target, (3, 16, 16), **options)
        small = {"size": 32} if name in IMAGENET else {"size": 16}
        if re.fullmatch(r"(cifar_|preact_)?resnet\d+", name) and name not in IMAGENET:
            small["width"] = 8
        return zoo.export(name, target, **{**small, **options})

    return written


IMAGENET = ("resnet18", "resnet34", "resnet50", "ressep")


@pytest.fixture(scope="session")
def source(zoo_file: Callable[..., Path]) -> Callable[..., Program]:
    """`source(name, **options)`: the same as a static program, a fresh copy each time."""
    once = functools.cache(lambda name, **options: read(zoo_file(name, **options)))
    return lambda name, **options: once(name, **options).clone()


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real models and images; a test that needs it is skipped where it is missing."""
    if not DATA.is_dir():
        pytest.skip(f"there is no {DATA.name} folder next to the checkout")
    return DATA


def _bottlenecks() -> object:
    import torch
    from torch import nn

    from hydrafy.zoo.blocks import Bottleneck

    def change(inputs: int, outputs: int, stride: int) -> nn.Module:
        conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(outputs))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            Bottleneck(8, 4, 1, change(8, 16, 1)),
            Bottleneck(16, 4),
            Bottleneck(16, 8, 2, change(16, 32, 2)),
            Bottleneck(32, 8),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, 10),
        )
        for part in net.modules():
            if isinstance(part, nn.BatchNorm2d):
                nn.init.uniform_(part.weight, 0.75, 1.25)
                nn.init.normal_(part.bias, std=0.1)
                part.momentum = 1.0
        net.train()(torch.randn(32, 3, 16, 16))
    return net.eval()
