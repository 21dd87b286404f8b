"""Costs of whole networks are those of the papers' and libraries' tables, to the last one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from hydrafy.analysis.cost import Cost, activations, cost, expected, macs, parameters, weights
from hydrafy.ir.program import Program
from hydrafy.runtime.read import read
from tests.train.programs import Sketch, dynamic, single


def resized(file: Path, size: int) -> onnx.ModelProto:
    """The same network for images of another size."""
    model = onnx.load(file)
    for place in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[place].dim_value = size
    del model.graph.value_info[:]
    return model


@pytest.mark.parametrize(
    ("name", "count"),
    [("resnet18", 11_689_512), ("resnet34", 21_797_672), ("resnet50", 25_557_032)],
)
@pytest.mark.filterwarnings("ignore")
def test_parameters_of_imagenet_networks(
    source: Callable[..., Program], name: str, count: int
) -> None:
    assert cost(source(name)).parameters == count


def test_macs_of_resnet50(zoo_file: Callable[..., Path]) -> None:
    program = read(resized(zoo_file("resnet50"), 224))
    assert cost(program).macs == 4_089_184_256
    norms = [n for n in program.graph if n.op_type == "BatchNormalization"]
    statistics = 2 * sum(program.weight(n.inputs[1].name).size for n in norms)
    floats = 4 * (25_557_032 + statistics)
    assert 0 <= cost(program).bytes - floats < 1000  # and a few int64 shapes


@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_cost_of_resnet20(source: Callable[..., Program], exporter: str) -> None:
    found = cost(source("resnet20", width=16, size=32, exporter=exporter))
    assert (found.macs, found.parameters) == (40_551_040, 269_722)


def test_folding_removes_the_scales_but_no_macs(source: Callable[..., Program]) -> None:
    kept, folded = cost(source("resnet20")), cost(source("resnet20", fold=True))
    norms = [n for n in source("resnet20").graph if n.op_type == "BatchNormalization"]
    channels = sum(n.outputs[0].shape[1] for n in norms)
    assert kept.macs == folded.macs
    assert kept.parameters - folded.parameters == channels  # scale and shift became one bias


SINGLE = [
    (single("Conv", (4, 6, 6), np.ones((8, 4, 3, 3), "f"), pads=[1] * 4), 36 * 8 * 4 * 9),
    (single("Conv", (4, 6, 6), np.ones((8, 4, 3, 3), "f"), strides=[2, 2]), 4 * 8 * 4 * 9),
    (single("Conv", (4, 6, 6), np.ones((4, 1, 3, 3), "f"), group=4), 16 * 4 * 9),
    (single("Conv", (4, 6, 6), np.ones((8, 2, 1, 1), "f"), np.ones(8, "f"), group=2), 36 * 8 * 2),
    (single("Gemm", (5,), np.ones((5, 7), "f")), 35),
    (single("Gemm", (5,), np.ones((7, 5), "f"), np.ones(7, "f"), transB=1), 35),
    (single("MatMul", (5,), np.ones((5, 7), "f")), 35),
    (single("Add", (5,), np.ones(5, "f")), 0),
    (single("Relu", (5,)), 0),
]


@pytest.mark.parametrize(("program", "count"), SINGLE)
def test_macs_of_one_node(program: Program, count: int) -> None:
    assert [macs(node) for node in program.graph] == [count]


def test_running_statistics_and_integers_are_no_parameters() -> None:
    s = Sketch(("N", 3, 4, 4))
    y = s.batchnorm(s.conv(s.x, "conv", 5, 1), "bn")
    y = s.op("Reshape", [y, s.weight("target", np.array([0, 80]))], "flat")
    program = s.program(s.op("Mul", [y, s.weight("scale", np.ones(80, np.float32))], "y"))
    assert parameters(program.graph) == 5 * 3 + 5 + 2 * 5 + 80
    assert cost(program).bytes == 4 * (15 + 5 + 4 * 5 + 80) + 2 * 8
    assert "target" not in {v.name for v in weights(program.graph)}


def test_a_shared_weight_counts_once() -> None:
    s = Sketch(("N", 3, 4, 4))
    kernel = s.random("kernel", 3, 3, 1, 1)
    y = s.op("Conv", [s.op("Conv", [s.x, kernel], "a"), kernel], "b")
    assert cost(s.program(y)) == Cost(2 * 16 * 9, 9, 36, 2 * 3 * 16 * 4)


def test_what_a_caller_may_override_is_no_parameter() -> None:
    program = dynamic()
    assert "tau" not in {v.name for v in weights(program.graph)}


def test_expected_weighs_each_node() -> None:
    s = Sketch(("N", 3, 4, 4))
    y = s.conv(s.conv(s.x, "a", 4, 1), "b", 2, 3)
    s.program(y)
    a, b = s.graph
    found = expected({a: 1.0, b: 0.5})
    assert found.macs == 16 * 12 + 16 * 8 * 9 // 2
    assert found.parameters == 12 + 4 + (2 * 4 * 9 + 2) // 2
    assert found.bytes == 4 * found.parameters
    assert found.activations == 4 * 16 * 4 + 2 * 16 * 4 // 2


def test_a_result_of_no_known_type_counts_nothing() -> None:
    s = Sketch(("N", 3, 4, 4))
    conv, relu = s.conv(s.x, "a", 4, 1), s.op("Relu", [s.x], "unused")
    s.program(conv)
    relu.type = ir.TensorType(ir.DataType.UNDEFINED)
    assert [activations(node) for node in s.graph] == [4 * 16 * 4, 0]
