"""The parts of a network are named by where they stand; nothing else changes."""

import pytest

from hydrafy.errors import ModelError
from hydrafy.ir.program import Program
from hydrafy.ir.text import text
from hydrafy.passes import base
from hydrafy.passes.parts import NameParts, in_part
from tests.train.programs import Sketch

GOLDEN = """\
in  x:float[N,2,4,4]
let stem.conv0.weight:float[2,2,1,1] = 0
let stem.conv0.bias:float[2] = 0
let tail.conv1.weight:float[2,2,1,1] = 0
let tail.conv1.bias:float[2] = 0
let head.fc.weight:float[3,2] = 0
let head.fc.bias:float[3] = 0
stem.conv0:float[N,2,4,4] = Conv(x, stem.conv0.weight, stem.conv0.bias) \
<kernel_shape=[1,1], pads=[0,0,0,0]>
stem.relu0:float[N,2,4,4] = Relu(stem.conv0)
tail.conv1:float[N,2,4,4] = Conv(stem.relu0, tail.conv1.weight, tail.conv1.bias) \
<kernel_shape=[1,1], pads=[0,0,0,0]>
tail.sum:float[N,2,4,4] = Add(tail.conv1, stem.relu0)
tail.relu1:float[N,2,4,4] = Relu(tail.sum)
head.head.pool:float[N,2,1,1] = GlobalAveragePool(tail.relu1)
head.head.flat:float[N,2] = Flatten(head.head.pool)
fc:float[N,3] = Gemm(head.head.flat, head.fc.weight, head.fc.bias) <transB=1>
out fc
"""


def test_golden() -> None:
    s = Sketch(("N", 2, 4, 4))
    stem = s.op("Relu", [s.conv(s.x, "conv0", 2, 1)], "relu0")
    total = s.op("Add", [s.conv(stem, "conv1", 2, 1), stem], "sum")
    tail = s.op("Relu", [total], "relu1")
    program = s.program(s.linear(s.pooled(tail, "head"), "fc", 3))
    for name in list(program.graph.initializers):
        program.set_weight(name, program.weight(name) * 0)
    base.run(program, [NameParts("relu0", "relu1")])
    lines = [line.split(" = [")[0] for line in text(program).splitlines()]
    lines = [f"{line} = 0" if line.startswith("let") else line for line in lines]
    assert "\n".join(lines) + "\n" == GOLDEN
    assert program.manifest.journal[-1].notes == ("2 nodes are the stem, 3 the tail, 3 the head",)


def block(name: str, *, output: str = "y") -> Program:
    s = Sketch(("N", 2, 4, 4))
    stem = s.op("Relu", [s.conv(s.x, "conv0", 2, 1)], "relu0")
    last = s.op("Add", [s.conv(stem, "conv1", 2, 1), stem], "last")
    program = s.program(s.op("Relu", [last], output))
    s.x.name = name
    return program


@pytest.mark.parametrize("name", ["tau", "picked", "nothing", "branches.sum", "stem.conv0"])
@pytest.mark.parametrize("place", ["input", "output"])
def test_names_that_are_needed_are_refused(name: str, place: str) -> None:
    program = block(name) if place == "input" else block("x", output=name)
    with pytest.raises(ModelError, match=f"input or output '{name}' has a name .*: rename it"):
        base.run(program, [NameParts("relu0", "last")])


def test_other_names_with_dots_are_fine() -> None:
    program = block("head.image", output="gates")
    base.run(program, [NameParts("relu0", "last")])
    assert program.data_inputs[0].name == "head.image"


def test_features_that_are_an_output_are_refused() -> None:
    with pytest.raises(ModelError, match=r"output 'y' is what the tail computes.*: remove it"):
        base.run(block("x"), [NameParts("relu0", "y")])


def test_copies_have_names_in_their_part() -> None:
    assert in_part("branches.3", "tail.layer3.0.conv1") == "branches.3.layer3.0.conv1"
    assert in_part("gate", "entry.kept") == "gate.entry.kept"
