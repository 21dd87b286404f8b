"""MSDNet's exits cost what table 1 of the adaptive-training paper (ICCV 2019) says."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from hydrafy import zoo
from hydrafy.zoo.families.msdnet import Layer
from tests.zoo.sizes import empty

PARAMETERS = (0.3, 0.65, 1.11, 1.73, 2.38, 3.05, 4.0)  # millions
MADDS = (6.86, 14.35, 27.29, 48.45, 76.43, 108.9, 137.3)  # millions


def costs() -> list[tuple[int, int, int]]:
    """(parameters, MACs, operations of Relu, pooling and biases) up to and with each exit."""
    net, rows, total = empty("msdnet"), [], [0, 0, 0]

    def count(layer: nn.Module, given: tuple[torch.Tensor], found: torch.Tensor) -> None:
        total[0] += sum(p.numel() for p in layer.parameters())
        if isinstance(layer, nn.Conv2d | nn.Linear):
            total[1] += layer.weight[0].numel() * found[0].numel()
        if isinstance(layer, nn.ReLU | nn.AdaptiveAvgPool2d):
            total[2] += given[0].numel()
        if isinstance(layer, nn.Linear):
            total[2] += layer.bias.numel()
            rows.append((total[0], total[1], total[2]))

    for layer in net.modules():
        if not list(layer.children()):
            layer.register_forward_hook(count)
    net(torch.zeros(1, 3, 32, 32, device="meta"))
    return rows


@pytest.fixture(scope="module")
def rows() -> list[tuple[int, int, int]]:
    return costs()


def test_parameters_of_every_exit(rows: list[tuple[int, int, int]]) -> None:
    found = [p / 1e6 for p, _, _ in rows]
    assert found == pytest.approx(PARAMETERS, abs=0.0051, rel=0.009)


def test_macs_of_every_exit(rows: list[tuple[int, int, int]]) -> None:
    """Within 1.1 %: the table counts Relu, pooling and biases as well."""
    assert [m / 1e6 for _, m, _ in rows] == pytest.approx(MADDS, rel=0.011)


def test_with_what_else_the_table_counts_the_figures_are_its_own(
    rows: list[tuple[int, int, int]],
) -> None:
    """To all four digits that are given."""
    assert [f"{(m + o) / 1e6:.4g}" for _, m, o in rows] == [f"{m:.4g}" for m in MADDS]


def test_the_file_names_its_exits_and_each_computes_what_the_module_does(tmp_path: Path) -> None:
    small = {"exits": 2, "spacing": "even", "scales": 2, "size": 16, "classes": 5}
    net = zoo.build("msdnet", **small)
    x = np.random.default_rng(0).normal(size=(3, 3, 16, 16)).astype(np.float32)
    with torch.no_grad():
        expected = net(torch.from_numpy(x))
    for exporter in ("torchscript", "dynamo"):
        file = zoo.export("msdnet", tmp_path / f"{exporter}.onnx", exporter=exporter, **small)
        session = onnxruntime.InferenceSession(str(file))
        assert [o.name for o in session.get_outputs()] == ["exit1", "exit2"]
        for found, wanted in zip(session.run(None, {"input": x}), expected, strict=True):
            assert found.shape == (3, 5)
            assert np.abs(found - wanted.numpy()).max() <= 1e-4 * wanted.abs().max()


@pytest.mark.parametrize(
    ("options", "before"),
    [
        ({}, (1, 2, 3, 4, 5, 6, 7)),
        ({"exits": 3, "base": 4, "step": 2, "spacing": "even"}, (4, 2, 2)),
        ({"exits": 3, "step": 2}, (1, 3, 5)),
    ],
)
def test_layers_before_an_exit(options: dict[str, object], before: tuple[int, ...]) -> None:
    design = zoo.find("msdnet", options)
    blocks = [[part for part in b if isinstance(part, Layer)] for b in design.module().blocks]
    assert tuple(map(len, blocks)) == before


def test_the_finest_scale_is_dropped_every_third_of_the_layers() -> None:
    net = empty("msdnet")
    scales = [len(p.same) for b in net.blocks for p in b if isinstance(p, Layer)]
    assert scales == [3] * 10 + [2] * 10 + [1] * 8
