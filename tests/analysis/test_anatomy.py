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
from hydrafy.passes.normalise.concats import ChainConcats
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
    assert found.is_joined
    places = [(order.index(b.entry), order.index(b.exit)) for b in found.blocks]
    assert all(start < end for start, end in places)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(places))
    for block in found.blocks:
        assert list(block.nodes) == between(block.entry, block.exit)
        assert (block.entry in block.nodes[-1].inputs) == (block.kind == ID)
    assert order.index(found.features) >= places[-1][1]
    assert found.features.shape[1:] == found.blocks[-1].exit.shape[1:]
    pools = ("AveragePool", "GlobalAveragePool", "ReduceMean")
    assert order[order.index(found.features) + 1].producer().op_type in pools
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
    for i, out in enumerate((4, 4, 8)):
        x = s.op("Relu", [s.conv(x, f"conv{i}", out, 3)], f"relu{i}")
    return s.program(s.linear(s.pooled(x, "head"), "fc", 10))


def inception() -> Program:
    s = Sketch(("N", 3, 8, 8))
    x = s.conv(s.x, "stem", 4, 3)
    for i in range(2):
        ways = [s.conv(x, f"{i}.{size}", 2, size) for size in (1, 3)]
        x = s.op("Concat", ways, f"{i}.joined", axis=1)
    return s.program(s.linear(s.pooled(x, "head"), "fc", 10))


def sums_of_one_path() -> Program:
    """A sum whose paths hold no convolution, and an offset that is broadcast."""
    s = Sketch(("N", 3, 8, 8))
    y = s.conv(s.x, "conv", 4, 3)
    y = s.op("Add", [y, s.op("Sigmoid", [y], "s")], "sum")
    y = s.op("Add", [y, s.weight("offset", np.ones((4, 1, 1), np.float32))], "offset_sum")
    return s.program(s.linear(s.pooled(y, "head"), "fc", 10))


@pytest.mark.parametrize(
    ("program", "wanted"),
    [
        (vgg(), [["plain", "plain"], ["plain"]]),
        (inception(), [["plain", "branchy", "branchy"]]),
        (sums_of_one_path(), [["plain"]]),
    ],
    ids=["vgg", "inception", "sums"],
)
def test_networks_without_shortcuts_have_stages_of_other_blocks(
    program: Program, wanted: list[list[str]]
) -> None:
    found = anatomy(program)
    assert kinds(found) == wanted
    assert not found.is_joined


def densenet(layers: tuple[int, ...] = (3, 2), *, chained: bool = True) -> Program:
    """Dense layers of growth 2 over the concatenation of all before, as PyTorch exports them."""
    s = Sketch(("N", 3, 8, 8))
    x = s.conv(s.x, "stem", 4, 3, bias=False)
    for i, count in enumerate(layers):
        if i:
            x = s.conv(s.op("Relu", [s.batchnorm(x, f"t{i}.bn")], f"t{i}.relu"), f"t{i}", 4, 1)
            x = s.op("AveragePool", [x], f"t{i}.pool", kernel_shape=[2, 2], strides=[2, 2])
        parts = [x]
        for j in range(count):
            y = s.op("Relu", [s.batchnorm(x, f"{i}.{j}.bn")], f"{i}.{j}.relu")
            parts.append(s.conv(y, f"{i}.{j}.conv", 2, 3, bias=False))
            x = s.op("Concat", [x, parts[-1]] if chained else parts, f"{i}.{j}.joined", axis=1)
    x = s.op("Relu", [s.batchnorm(x, "bn")], "last")
    program = s.program(s.linear(s.pooled(x, "head"), "fc", 6))
    ChainConcats().apply(program)
    return program


@pytest.mark.parametrize("chained", [True, False])
def test_dense_layers_and_transitions(chained: bool) -> None:
    program = densenet(chained=chained)
    found = anatomy(program)
    assert kinds(found) == [["dense"] * 3, ["dense"] * 2]
    assert shapes(found) == [(10, 8, 8), (8, 4, 4)]
    assert found.stages[0].transition is None
    transition = found.stages[1].transition
    assert transition is not None
    assert [n.op_type for n in transition.nodes] == [
        "BatchNormalization", "Relu", "Conv", "AveragePool",
    ]  # fmt: skip
    assert (transition.entry, transition.exit) == (
        found.stages[0].blocks[-1].exit,
        found.stages[1].blocks[0].entry,
    )
    assert list(found.sites()) == [
        "stage1", "stage1.2", "stage1.3", "stage2", "stage2.1", "stage2.2",
    ]  # fmt: skip
    assert found.features.name == "last"


def test_a_network_without_convolution_is_refused() -> None:
    s = Sketch(("N", 3, 8, 8))
    program = s.program(s.linear(s.op("Flatten", [s.x], "flat"), "fc", 10))
    with pytest.raises(ModelError, match="no convolution"):
        anatomy(program)


def test_features_are_behind_the_last_relu() -> None:
    s = Sketch(("N", 4, 8, 8))
    block = s.op("Add", [s.x, s.conv(s.x, "conv", 4, 3)], "sum")
    relu = s.op("Relu", [block], "relu")
    found = anatomy(s.program(s.linear(s.pooled(relu, "head"), "fc", 10)))
    assert found.features is relu
    assert isinstance(found.blocks[0].nodes[-1], ir.Node) and found.blocks[0].exit is block
