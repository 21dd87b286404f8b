"""Whatever takes a node's place, outputs keep their names and readers what they read."""

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.ir.verify import verify
from hydrafy.passes.normalise.replace import drop, give_way, insert_behind, plain, replace, swap
from hydrafy.passes.normalise.shapes import InferShapes
from tests.passes.sources import compute, ops, program, weight

X = weight(2, 3)


def pair(last: str = "Identity", outputs: str = "float[N,3] b, float[N,3] z") -> Program:
    made = program(f"g (float[N,3] x) => ({outputs}) {{ a = Abs (x) b = {last} (a) z = Neg (b) }}")
    InferShapes().apply(made)
    return made


def check(made: Program, **wanted: np.ndarray) -> None:
    verify(made, by="the test")
    assert [v.name for v in made.graph.outputs] == list(wanted)
    for found, array in zip(compute(made, {"x": X}), wanted.values(), strict=True):
        np.testing.assert_allclose(found, array, rtol=1e-6)


@pytest.mark.parametrize("outputs", ["float[N,3] b , float[N,3] z", "float[N,3] z"])
def test_a_dropped_node(outputs: str) -> None:
    made = pair(outputs=outputs)
    a, b, _ = made.graph
    assert drop(b, a.outputs[0])
    assert ops(made) == ["Abs", "Neg"]
    wanted = {"b": abs(X), "z": -abs(X)}
    check(made, **{name: wanted[name] for name in outputs.split() if name in wanted})


@pytest.mark.parametrize("source", ["x", "w", "a"])
def test_an_output_that_cannot_give_way(source: str) -> None:
    """An input, a weight and another output cannot be called by its name."""
    made = program(
        "g (float[N,3] x) => (float[N,3] a, float[N,3] b) { a = Abs (x) b = Identity (a) }",
        w=weight(3),
    )
    a, b = made.graph
    values = {
        "x": made.data_inputs[0], "w": made.graph.initializers["w"], "a": a.outputs[0]
    }  # fmt: skip
    assert not drop(b, values[source]) and not give_way(b.outputs[0], values[source])
    check(made, a=abs(X), b=abs(X))


def test_another_node_of_the_same_name() -> None:
    made = pair("Relu")
    _, b, _ = made.graph
    b.name = "layer"
    assert swap(b, "Sqrt", list(b.inputs)).name == "layer"
    assert ops(made) == ["Abs", "Sqrt", "Neg"]
    check(made, b=np.sqrt(abs(X)), z=-np.sqrt(abs(X)))


def test_several_nodes() -> None:
    made = pair("Relu")
    _, b, _ = made.graph
    first = plain("Sqrt", list(b.inputs), "first")
    replace(b, [first, plain("Exp", first.outputs, "second")])
    assert ops(made) == ["Abs", "Sqrt", "Exp", "Neg"]
    check(made, b=np.exp(np.sqrt(abs(X))), z=-np.exp(np.sqrt(abs(X))))


def test_a_node_behind_a_value() -> None:
    made = pair("Relu")
    value: ir.Value = made.graph[1].outputs[0]
    insert_behind(value, build.op("Sqrt", [value], "behind"))
    assert ops(made) == ["Abs", "Relu", "Sqrt", "Neg"]
    check(made, b=np.sqrt(abs(X)), z=-np.sqrt(abs(X)))
