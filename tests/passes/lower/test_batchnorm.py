"""Folding a BatchNormalization changes nothing but the number of nodes."""

import numpy as np
import pytest

from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.lower.batchnorm import FoldBatchNorm
from tests.train.programs import Sketch, images


def kinds(program: Program) -> list[str]:
    return [n.op_type for n in program.graph]


def same(program: Program) -> list[str]:
    before = Session(program).run({"x": images(program, 3)})
    base.run(program, [FoldBatchNorm()])
    after = Session(program).run({"x": images(program, 3)})
    assert list(after) == list(before)
    for name, array in after.items():
        np.testing.assert_allclose(array, before[name], rtol=1e-4, atol=1e-5)
    return kinds(program)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("group", [1, 3])
@pytest.mark.parametrize("epsilon", [None, 0.1])
def test_folded_equals_unfolded(bias: bool, group: int, epsilon: float | None) -> None:
    s = Sketch()
    weights = [s.random("w", 6, 3 // group, 3, 3)] + ([s.random("b", 6)] if bias else [])
    y = s.op("Conv", [s.x, *weights], "conv", group=group)
    arrays = [abs(s.rng.standard_normal(6)).astype("f") for _ in range(4)]
    norm = [s.weight(f"bn{n}", a) for n, a in enumerate(arrays)]
    more = {} if epsilon is None else {"epsilon": epsilon}
    y = s.op("BatchNormalization", [y, *norm], "bn", **more)
    program = s.program(s.op("Relu", [y], "y"))
    assert same(program) == ["Conv", "Relu"]
    assert set(program.graph.initializers) == {"conv.folded.weight", "conv.folded.bias"}
    assert program.weight("conv.folded.weight").dtype == np.float32


def test_the_folded_value_keeps_its_name_even_as_output() -> None:
    s = Sketch()
    program = s.program(s.batchnorm(s.conv(s.x, "conv", 4, 3), "bn"))
    assert same(program) == ["Conv"]
    assert [v.name for v in program.graph.outputs] == ["bn"]


def test_a_convolution_that_others_read_is_left_alone() -> None:
    s = Sketch()
    conv = s.conv(s.x, "conv", 4, 3)
    y = s.op("Add", [conv, s.batchnorm(conv, "bn")], "y")
    assert same(s.program(y)) == ["Conv", "BatchNormalization", "Add"]
    s = Sketch()
    conv = s.conv(s.x, "conv", 4, 3)
    assert same(s.program(s.batchnorm(conv, "bn"), conv)) == ["Conv", "BatchNormalization"]


def test_a_shared_kernel_is_not_changed_for_the_other() -> None:
    s = Sketch()
    kernel = s.random("w", 4, 3, 1, 1)
    one = s.batchnorm(s.op("Conv", [s.x, kernel], "one"), "bn")
    y = s.op("Add", [one, s.op("Conv", [s.x, kernel], "two")], "y")
    program = s.program(y)
    assert same(program) == ["Conv", "Conv", "Add"]
    assert "w" in program.graph.initializers


def test_a_batchnorm_behind_something_else_stays() -> None:
    s = Sketch()
    y = s.batchnorm(s.op("Relu", [s.conv(s.x, "conv", 4, 3)], "relu"), "bn")
    assert same(s.program(y)) == ["Conv", "Relu", "BatchNormalization"]
