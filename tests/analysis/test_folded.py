"""Only what folding can have left is taken for a folded BatchNormalization."""

from collections.abc import Callable

import onnx_ir as ir
import pytest

from hydrafy.analysis.folded import folded
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.lower.batchnorm import FoldBatchNorm
from tests.train.programs import Sketch


def names(program: Program) -> list[str]:
    return [node.name or "" for node in folded(program)]


def norms(program: Program) -> int:
    return sum(node.op_type == "BatchNormalization" for node in program.graph)


@pytest.mark.parametrize(
    ("name", "options", "before"),
    [
        ("resnet8", {}, 7),
        ("resnet8", {"shortcut": "B", "exporter": "dynamo"}, 9),
        ("preact_resnet20", {}, 19),
    ],
)
def test_what_an_exporter_folds_is_found_and_nothing_else(
    source: Callable[..., Program], name: str, options: dict[str, object], before: int
) -> None:
    kept, lost = source(name, **options), source(name, fold=True, **options)
    assert names(kept) == []
    assert norms(kept) == before
    assert len(folded(lost)) == norms(kept) - norms(lost) > 6


def pre_activation(s: Sketch) -> ir.Value:
    """A pre-activation block and a dense layer: a BatchNormalization before each convolution."""
    stem = s.conv(s.x, "stem", 4, 3, bias=False)
    y = s.op("Relu", [s.batchnorm(stem, "bn1")], "relu1")
    y = s.conv(y, "conv1", 4, 3, bias=False)
    y = s.op("Relu", [s.batchnorm(y, "bn2")], "relu2")
    y = s.op("Add", [stem, s.conv(y, "conv2", 4, 3, bias=False)], "sum")
    z = s.op("Relu", [s.batchnorm(y, "bn3")], "relu3")
    z = s.conv(z, "bottleneck", 8, 1, bias=False)
    z = s.op("Relu", [s.batchnorm(z, "bn4")], "relu4")
    z = s.conv(z, "growth", 2, 3, bias=False)
    return s.linear(s.pooled(s.op("Concat", [y, z], "all", axis=1), "head"), "fc", 5)


def test_where_batchnorm_comes_first_only_the_inner_convolutions_lost_one() -> None:
    s = Sketch()
    program = s.program(pre_activation(s))
    assert names(base.run(program, [FoldBatchNorm()])) == ["conv1.folded", "bottleneck.folded"]


def test_gates_of_squeeze_and_excitation_and_classifiers_lost_none() -> None:
    s = Sketch()
    y = s.op("Relu", [s.conv(s.x, "conv", 4, 3)], "relu")
    pooled = s.op("GlobalAveragePool", [y], "squeeze")
    gate = s.conv(s.op("Relu", [s.conv(pooled, "reduce", 2, 1)], "r"), "expand", 4, 1)
    y = s.op("Mul", [y, s.op("Sigmoid", [gate], "gate")], "excited")
    y = s.conv(y, "after", 4, 3)
    pooled = s.op("GlobalAveragePool", [y], "pool")
    program = s.program(s.conv(s.conv(pooled, "hidden", 4, 1), "classifier", 5, 1))
    assert names(program) == ["conv", "after"]


def test_a_convolution_that_classifies_before_pooling_lost_none() -> None:
    s = Sketch()
    y = s.conv(s.op("Relu", [s.conv(s.x, "conv", 4, 3)], "relu"), "classifier", 5, 1)
    assert names(s.program(s.pooled(s.op("Relu", [y], "scores"), "head"))) == ["conv"]


def test_convolutions_to_one_place_count_and_overridable_biases_do_not() -> None:
    s = Sketch(("N", 3, 2, 2))
    small = s.op("Conv", [s.x, s.random("w", 4, 3, 2, 2), s.random("b", 4)], "small")
    bias = s.weight("given", s.rng.standard_normal(4).astype("f"), overridable=True)
    y = s.op("Conv", [small, s.random("v", 4, 4, 1, 1), bias], "steered")
    assert names(s.program(s.linear(s.op("Flatten", [y], "flat"), "fc", 5))) == ["small"]
