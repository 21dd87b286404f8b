"""What is said to be never negative never is, on any data; and the obvious cases are found."""

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.analysis.signs import non_negative
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Manifest
from hydrafy.ir.program import Program
from tests.train.programs import Sketch

ONE = ("Relu", "Sigmoid", "Identity", "MaxPool", "AveragePool", "LeakyRelu", "Clip", "Pad", "Tanh")
TWO = ("Add", "Sub", "Mul", "Concat", "Sum", "Max", "Min")


def grown(choices: list[tuple[int, int, int]]) -> tuple[Program, set[ir.Value]]:
    """A network of random nodes: each choice is an op and the values that it reads."""
    s = Sketch(("N", 2, 4, 4))
    values = [s.x, s.weight("up", np.full((1, 2, 1, 1), 0.5, np.float32))]
    for number, (kind, first, second) in enumerate(choices):
        op = (*ONE, *TWO)[kind % (len(ONE) + len(TWO))]
        a, b = values[first % len(values)], values[second % len(values)]
        name = f"v{number}"
        if op in TWO:
            if op == "Concat":
                made = s.op(op, [a, a], f"{name}.wide", axis=2)
                made = s.op("MaxPool", [made], name, kernel_shape=[2, 1], strides=[2, 1])
            else:
                made = s.op(op, [a, b], name)
        elif op in ("MaxPool", "AveragePool"):
            made = s.op(op, [a], name, kernel_shape=[1, 1])
        elif op == "Clip":
            made = s.op(op, [a, s.weight(f"{name}.low", np.float32(second % 3 - 1))], name)
        elif op == "Pad":
            pads = s.weight(f"{name}.pads", np.zeros(8, np.int64))
            made = s.op(op, [a, pads, s.weight(f"{name}.fill", np.float32(second % 2 - 1))], name)
        else:
            made = s.op(op, [a], name)
        values.append(made)
    program = s.program(values[-1], manifest=Manifest(stage="source"))
    found = non_negative(program.graph)
    program.graph.outputs.extend(v for v in found if not v.is_graph_output())
    return program, found


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.tuples(*[st.integers(0, 99)] * 3), min_size=1, max_size=12))
def test_no_value_that_is_called_non_negative_is_ever_negative(
    choices: list[tuple[int, int, int]],
) -> None:
    program, found = grown(choices)
    x = np.random.default_rng(0).standard_normal((3, 2, 4, 4)).astype(np.float32) * 3
    names = [v.name or "" for v in found if v.producer() is not None]
    for name, array in Session(program).run({"x": x}, names).items() if names else ():
        assert (array >= 0).all(), name


@pytest.mark.parametrize(
    ("op", "wanted"), [("Relu", True), ("Tanh", False), ("Identity", False), ("Sigmoid", True)]
)
def test_of_the_image_nothing_is_known(op: str, wanted: bool) -> None:
    s = Sketch(("N", 2, 4, 4))
    y = s.op(op, [s.x], "y")
    s.program(y, manifest=Manifest(stage="source"))
    assert (y in non_negative(s.graph)) == wanted


def test_a_residual_block_keeps_the_sign_only_behind_its_relu() -> None:
    s = Sketch(("N", 2, 4, 4))
    relu = s.op("Relu", [s.x], "relu")
    pooled = s.op("MaxPool", [relu], "pooled", kernel_shape=[2, 2])
    total = s.op("Add", [relu, s.conv(relu, "conv", 2, 3)], "sum")
    last = s.op("Relu", [total], "last")
    s.program(s.op("Concat", [last, last], "y", axis=1))
    found = non_negative(s.graph)
    assert {relu, pooled, last} <= found
    assert total not in found


def test_what_is_above_a_non_negative_floor_is_non_negative() -> None:
    s = Sketch(("N", 2, 4, 4))
    low, floor = s.weight("low", np.float32(-1)), s.weight("floor", np.float32(0))
    clipped = s.op("Clip", [s.x, floor], "clipped")
    below = s.op("Clip", [s.x, low], "below")
    again = s.op("Clip", [clipped, low], "again")
    s.program(s.op("Concat", [clipped, below, again], "y", axis=1))
    found = non_negative(s.graph)
    assert clipped in found and again in found and below not in found


@pytest.mark.parametrize(("high", "wanted"), [(6.0, True), (0.0, True), (-1.0, False)])
def test_what_is_cut_below_zero_is_negative(high: float, wanted: bool) -> None:
    s = Sketch(("N", 2, 4, 4))
    relu, bound = s.op("Relu", [s.x], "relu"), s.weight("high", np.float32(high))
    y = s.op("Clip", [relu, None, bound], "y")
    s.program(y)
    assert (y in non_negative(s.graph)) == wanted
