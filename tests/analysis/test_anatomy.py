"""Stages and blocks of real networks in every form, and networks that have none."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.analysis.anatomy import Anatomy, anatomy
from hydrafy.analysis.cuts import between, cuts
from hydrafy.errors import ModelError
from hydrafy.ir.program import Program
from hydrafy.runtime.read import read
from tests.train.programs import Sketch

ID, PR = "identity", "projection"


def kinds(found: Anatomy) -> list[list[str]]:
    return [[block.kind for block in stage.blocks] for stage in found.stages]


def shapes(found: Anatomy) -> list[tuple[int, ...]]:
    return [stage.shape for stage in found.stages]


CASES = [
    ("resnet8", {}, [[ID], [PR], [PR]], [(8, 16, 16), (16, 8, 8), (32, 4, 4)]),
    ("resnet8", {"shortcut": "B"}, [[ID], [PR], [PR]], [(8, 16, 16), (16, 8, 8), (32, 4, 4)]),
    ("resnet20", {}, [[ID] * 3, [PR, ID, ID], [PR, ID, ID]], None),
    ("resnet20", {"exporter": "dynamo"}, [[ID] * 3, [PR, ID, ID], [PR, ID, ID]], None),
    ("resnet20", {"fold": True, "shortcut": "B"}, [[ID] * 3, [PR, ID, ID], [PR, ID, ID]], None),
    ("resnet18", {}, [[ID, ID], [PR, ID], [PR, ID], [PR, ID]], None),
    (
        "resnet50",
        {},
        [[PR] + [ID] * 2, [PR] + [ID] * 3, [PR] + [ID] * 5, [PR] + [ID] * 2],
        [(256, 8, 8), (512, 4, 4), (1024, 2, 2), (2048, 1, 1)],
    ),
    ("bottleneck", {"exporter": "dynamo", "fold": True}, [[PR, ID], [PR, ID]], None),
]


@pytest.mark.parametrize(("name", "options", "blocks", "sizes"), CASES)
def test_stages_of_the_zoo(
    source: Callable[..., Program],
    name: str,
    options: dict[str, object],
    blocks: list[list[str]],
    sizes: list[tuple[int, ...]] | None,
) -> None:
    program = source(name, **options)
    found = anatomy(program)
    assert kinds(found) == blocks
    assert shapes(found) == (sizes or shapes(found))
    assert [s.name for s in found.stages] == [f"stage{i + 1}" for i in range(len(blocks))]
    check(found, program)


def check(found: Anatomy, program: Program) -> None:
    """What holds of every anatomy: blocks follow each other and are separate."""
    order = cuts(program)
    places = [(order.index(b.entry), order.index(b.exit)) for b in found.blocks]
    assert all(start < end for start, end in places)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(places))
    for block in found.blocks:
        assert list(block.nodes) == between(block.entry, block.exit)
        assert (block.entry in block.nodes[-1].inputs) == (block.kind == ID)
    assert order.index(found.features) >= places[-1][1]
    assert found.features.shape[1:] == found.blocks[-1].exit.shape[1:]
    later = order[order.index(found.features) + 1]
    assert later.shape is None or later.shape[1:] != found.features.shape[1:]
    assert (found.input, found.output) == (program.data_inputs[0], program.graph.outputs[0])


REAL = [
    ("resnet20_cifar10", [[ID] * 3, [PR, ID, ID], [PR, ID, ID]]),
    ("resnet56_cifar10", [[ID] * 9, [PR] + [ID] * 8, [PR] + [ID] * 8]),
    ("resnet8_mlperftiny_cifar10", [[ID], [PR], [PR]]),
]


@pytest.mark.parametrize(("name", "blocks"), REAL)
def test_stages_of_pretrained_networks(data: Path, name: str, blocks: list[list[str]]) -> None:
    program = read(data / "models" / f"{name}.onnx")
    found = anatomy(program)
    assert kinds(found) == blocks
    check(found, program)


def test_sites_name_every_block(source: Callable[..., Program]) -> None:
    found = anatomy(source("resnet20"))
    names = [f"stage{s}{b}" for s in (1, 2, 3) for b in ("", ".2", ".3")]
    assert list(found.sites()) == names
    assert [found.sites()[n] for n in names] == list(found.blocks)
    assert found.entry("stage2") is found.stages[0].blocks[-1].exit or (
        found.entry("stage2").producer().inputs[0] is found.stages[0].blocks[-1].exit
    )
    with pytest.raises(ModelError, match=r"'stage4'.*stage1 \(3 blocks\).*stage3 \(3 blocks\)"):
        found.entry("stage4")
    with pytest.raises(ModelError, match=r"'stage1\.1'"):
        found.entry("stage1.1")


def vgg() -> Program:
    s = Sketch(("N", 3, 8, 8))
    x = s.x
    for i in range(3):
        x = s.op("Relu", [s.conv(x, f"conv{i}", 4, 3)], f"relu{i}")
    return s.program(s.linear(s.pooled(x, "head"), "fc", 10))


def perceptron() -> Program:
    s = Sketch(("N", 3, 8, 8))
    return s.program(s.linear(s.op("Flatten", [s.x], "flat"), "fc", 10))


def long_shortcut() -> Program:
    """A sum whose paths hold no convolution, and a scale that is broadcast: no blocks."""
    s = Sketch(("N", 3, 8, 8))
    y = s.conv(s.x, "conv", 4, 3)
    y = s.op("Add", [y, s.op("Sigmoid", [y], "s")], "sum")
    y = s.op("Add", [y, s.weight("offset", np.ones((4, 1, 1), np.float32))], "offset_sum")
    return s.program(s.linear(s.pooled(y, "head"), "fc", 10))


@pytest.mark.parametrize(
    ("program", "why"),
    [
        (perceptron(), "no convolution"),
        (vgg(), "no residual stage to split: no Add or Sum"),
        (long_shortcut(), "no residual stage"),
    ],
    ids=["perceptron", "vgg", "long shortcut"],
)
def test_networks_without_stages_are_refused(program: Program, why: str) -> None:
    with pytest.raises(ModelError, match=why):
        anatomy(program)


def test_features_are_behind_the_last_relu() -> None:
    s = Sketch(("N", 4, 8, 8))
    block = s.op("Add", [s.x, s.conv(s.x, "conv", 4, 3)], "sum")
    relu = s.op("Relu", [block], "relu")
    found = anatomy(s.program(s.linear(s.pooled(relu, "head"), "fc", 10)))
    assert found.features is relu
    assert isinstance(found.blocks[0].nodes[-1], ir.Node) and found.blocks[0].exit is block
