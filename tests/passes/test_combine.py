"""The combiner over k equal branches gives back what one of them computes."""

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.combine import Combine
from tests.train.programs import Sketch, images


def network(count: int, last: str) -> tuple[Program, Program]:
    """`head(relu(conv(stem)))`, and the same beside a Sum of `count` copies of the features."""
    made = []
    for copies in (0, count):
        s = Sketch(("N", 3, 6, 6))
        stem = s.op("Relu", [s.conv(s.x, "stem", 4, 3)], "stem.relu")
        features = s.conv(stem, "tail", 5, 3)
        arrays = [v.const_value.numpy() for v in features.producer().inputs[1:]]
        weights = [s.weight(f"twin.{n}", array) for n, array in enumerate(arrays)]
        twin = s.op("Conv", [stem, *weights], "twin", pads=[1, 1, 1, 1])
        if last == "Relu":
            features = s.op("Relu", [features], "tail.relu")
            twin = s.op("Relu", [twin], "twin.relu")
        if copies:
            s.op("Sum", [twin] * copies, "total")
        made.append(s.program(s.linear(s.pooled(features, "head"), "fc", 3)))
    return made[0], made[1]


@pytest.mark.parametrize("last", ["Relu", "Conv"])
@pytest.mark.parametrize("kind", ["separable", "dense", "mean"])
@pytest.mark.parametrize("count", [1, 3, 4])
def test_equal_branches_reproduce_their_source(kind: str, count: int, last: str) -> None:
    source, program = network(count, last)
    features = "tail.relu" if last == "Relu" else "tail"
    base.run(program, [Combine("total", features, count, kind)])
    x = images(source, 3)
    wanted = Session(source).run({"x": x})["fc"]
    np.testing.assert_allclose(Session(program).run({"x": x})["fc"], wanted, rtol=1e-5, atol=1e-6)
    names = {n.name for n in program.graph}
    assert "tail" not in names and "tail.weight" not in program.graph.initializers
    assert ("combiner.relu" in names) == (last == "Relu" and kind != "mean")


def test_the_shapes_of_its_weights() -> None:
    for kind, shapes in {
        "separable": {"depthwise": [5, 1, 3, 3], "pointwise": [5, 5, 1, 1]},
        "dense": {"conv": [5, 5, 3, 3]},
    }.items():
        _, program = network(4, "Relu")
        base.run(program, [Combine("total", "tail.relu", 4, kind)])
        for name, shape in shapes.items():
            weight = program.graph.initializers[f"combiner.{name}.weight"]
            assert weight.shape == ir.Shape(shape)
