"""What ONNX's inference lets pass, and an analysis would fall over, is refused by name."""

import numpy as np
import pytest

from hydrafy.errors import ModelError
from hydrafy.passes.normalise.fit import CheckFit
from hydrafy.passes.normalise.shapes import InferShapes
from tests.passes.sources import program, weight

WEIGHTS = {
    "w": weight(4, 2, 3, 3), "b": weight(4), "c": weight(2), "s": weight(2),
    "zero": np.int64(0), "one": np.array([1]), "two": np.array([0, 0]), "three": np.ones(3, int),
    "nine": np.array([9]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("f = ReduceSum <keepdims = 0> (x) y = InstanceNormalization (f, c, c)", "has no channels"),
        ("y = Conv <strides = [1]> (x, w)", r"strides is \[1\], which must be 2 numbers from 1"),
        ("y = Conv <strides = [0, 1]> (x, w)", r"strides is \[0, 1\]"),
        ("y = Conv <dilations = [1, 1, 1]> (x, w)", r"dilations is \[1, 1, 1\]"),
        ("y = Conv <pads = [1, 1, 1]> (x, w)", r"pads is \[1, 1, 1\], which must be 4 numbers"),
        ("y = Conv <pads = [1, 1, 1, -1]> (x, w)", r"pads is \[1, 1, 1, -1\]"),
        ("y = Conv <group = 0> (x, w)", "has not 0 groups"),
        ("y = Conv <group = 3> (x, w)", "has not 3 groups"),
        ("y = Conv <group = 4> (x, w)", "takes 8 channels, not 2"),
        ("y = Conv (x, s)", r"its weight of shape \[2\] has not 1 groups"),
        ("y = Conv (x, w, c)", r"its bias has the shape \[2\], its weight of shape \[4, 2, 3, 3\]"),
        ("y = Conv <kernel_shape = [5, 5]> (x, w)", r"kernel_shape is \[5, 5\], its weight"),
        ("y = MaxPool <kernel_shape = [2]> (x)", r"kernel_shape is \[2\]"),
        ("y = MaxPool <kernel_shape = [9, 9]> (x)", "so nothing is in it"),
        ("y = AveragePool <kernel_shape = [2, 2], strides = [2]> (x)", r"strides is \[2\]"),
        ("y = InstanceNormalization (x, c, b)", r"'b' of shape \[4\] has not one number for each"),
        ("y = BatchNormalization (x, c, c, c, b)", r"'b' of shape \[4\] has not one number"),
        ("y = Cast <to = 8> (x)", "its result is text"),
        ("h = acme.Twist (x) [bad] h2 = Relu (h) y = Relu (h2)", "nothing tells the type"),
        ("y = LogSoftmax <axis = 4> (x)", "its axis is 4, its input has 4 dimensions"),
        ("y = Softmax <axis = -5> (x)", "its axis is -5"),
        ("y = Slice (x, zero, one)", r"'zero' of shape \[\] must be a list of numbers"),
        ("y = Slice (x, two, three)", "its lists are of different lengths"),
        ("y = Slice (x, one, one, nine)", r"its axes are \[9\]"),
        ("k = Identity (x) [bad] y = Conv (x, k)", "all but the first must be fixed"),
        ("y = Conv <pads = [20000, 0, 20000, 0]> (x, w)", "268,435,456 numbers are the limit"),
    ],
)  # fmt: skip
def test_a_layer_that_does_not_fit_is_refused(body: str, message: str) -> None:
    size = 9000 if "20000" in body else 8
    made = program(f"g (float[N,2,8,{size}] x) => (y) {{ [bad] {body} }}", **WEIGHTS)
    InferShapes().apply(made)
    with pytest.raises(ModelError, match=rf"node '\w+' \(\w+\) is malformed: .*{message}"):
        CheckFit().apply(made)


@pytest.mark.parametrize(
    "body",
    [
        "y = Conv <pads = [1, 0, 1, 0], strides = [2, 1], dilations = [1, 2]> (x, w, b)",
        "y = Conv <group = 1, kernel_shape = [3, 3]> (x, w)",
        "y = MaxPool <kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1> (x)",
        "y = BatchNormalization (x, c, c, c, c)",
        "h = Relu (x) y = Relu (h)",
        "y = Softmax <axis = -4> (x)",
    ],
)
def test_layers_that_fit_are_left_alone(body: str) -> None:
    made = program(f"g (float[N,2,8,8] x) => (float[N,P,Q,R] y) {{ {body} }}", **WEIGHTS)
    InferShapes().apply(made)
    before = [node.op_type for node in made.graph]
    assert CheckFit().apply(made) == []
    assert [node.op_type for node in made.graph] == before
    assert np.array_equal(made.weight("w"), WEIGHTS["w"])
