"""A restored BatchNormalization changes nothing but what can be trained."""

import numpy as np
import pytest

from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.batchnorm import EPSILON, Moments, RestoreBatchNorm
from hydrafy.passes.lower.batchnorm import FoldBatchNorm
from tests.train.programs import Sketch, images


def network(*, shared: bool = False) -> Program:
    """Two convolutions with biases of their own, or with one bias, whose sum is classified."""
    s = Sketch()
    one = s.conv(s.x, "one", 4, 3)
    biases = [s.graph.initializers["one.bias"] if shared else s.random("b", 4)]
    two = s.op("Conv", [one, s.random("w", 4, 4, 1, 1), *biases], "two")
    return s.program(s.linear(s.pooled(s.op("Add", [one, two], "sum"), "head"), "fc", 5))


def moments(variance: float = 2.0) -> Moments:
    return Moments(np.array([3.0, -1.0, 0.0, 0.5]), np.array([variance, 0.0, 1e-12, 100.0]))


def logits(program: Program) -> np.ndarray:
    return Session(program, threads=1).run({"x": images(program, 3)})["fc"]


@pytest.mark.parametrize("shared", [False, True])
def test_whatever_the_moments_the_function_stays(shared: bool) -> None:
    program = network(shared=shared)
    before, bias = logits(program), program.weight("one.bias").copy()
    base.run(program, [RestoreBatchNorm({"one": moments(), "two": moments(0.3)})])
    np.testing.assert_allclose(logits(program), before, rtol=1e-5, atol=1e-5)
    kinds = [node.op_type for node in program.graph]
    assert kinds[:4] == ["Conv", "BatchNormalization"] * 2
    assert all(len(n.inputs) == 2 for n in program.graph if n.op_type == "Conv")
    assert not {"one.bias", "b"} & set(program.graph.initializers)
    np.testing.assert_allclose(program.weight("one_bn.running_mean"), moments().mean - bias)
    np.testing.assert_allclose(program.weight("one_bn.running_var"), moments().variance)
    np.testing.assert_allclose(program.weight("one_bn.bias"), moments().mean)
    wanted = np.sqrt(moments().variance + EPSILON)
    np.testing.assert_allclose(program.weight("one_bn.weight"), wanted, rtol=1e-6)
    assert program.manifest.journal[-1].notes == ("2 BatchNormalizations are restored",)


def test_folding_takes_them_back() -> None:
    program = network()
    before, size, kinds = (
        logits(program),
        program.weight_bytes(),
        [n.op_type for n in program.graph],
    )
    base.run(program, [RestoreBatchNorm({"one": moments(), "two": moments()})])
    assert program.weight_bytes() > size
    base.run(program, [FoldBatchNorm()])
    assert [node.op_type for node in program.graph] == kinds
    assert program.weight_bytes() == size
    np.testing.assert_allclose(logits(program), before, rtol=1e-5, atol=1e-5)


def test_a_bias_that_another_node_reads_stays_for_it() -> None:
    program = network(shared=True)
    before = logits(program)
    base.run(program, [RestoreBatchNorm({"two": moments()})])
    np.testing.assert_allclose(logits(program), before, rtol=1e-5, atol=1e-5)
    assert "one.bias" in program.graph.initializers


def test_names_that_others_have_are_not_taken() -> None:
    s = Sketch()
    y = s.op("Relu", [s.conv(s.x, "one", 4, 3)], "one_bn")
    program = s.program(s.linear(s.pooled(y, "head"), "fc", 5))
    before = logits(program)
    base.run(program, [RestoreBatchNorm({"one": moments()})])
    assert [n.name for n in program.graph][:3] == ["one", "one_bn_", "one_bn"]
    np.testing.assert_allclose(logits(program), before, rtol=1e-5, atol=1e-5)


def test_an_output_of_the_network_stays_what_it_is() -> None:
    s = Sketch()
    one = s.conv(s.x, "one", 4, 3)
    program = s.program(s.linear(s.pooled(one, "head"), "fc", 5), one)
    base.run(program, [RestoreBatchNorm({"one": moments()})])
    assert "BatchNormalization" not in [node.op_type for node in program.graph]
    assert "'one' has none restored" in program.manifest.journal[-1].notes[1]
