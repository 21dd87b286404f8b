"""What would mix the images of a batch is refused; what is read treats each image by itself."""

import numpy as np
import pytest

from hydrafy.errors import ModelError
from hydrafy.ir.program import Program
from hydrafy.passes import base, normalise
from hydrafy.passes.normalise.rows import SeparateImages
from hydrafy.passes.normalise.shapes import InferShapes
from tests.passes.sources import compute, ops, program, weight

MIXING = [
    ("1", "m = ReduceMean <keepdims = 1> (c, zero) y = Add (c, m)", "'m' (ReduceMean)"),
    ("1", "m = ReduceMean <keepdims = 1> (c) y = Add (c, m)", "'m' (ReduceMean)"),
    ("1", "m = Concat <axis = 0> (c, c) y = Relu (m)", "'m' (Concat)"),
    ("1", "m = Gather <axis = 0> (c, zero) y = Relu (m)", "'m' (Gather)"),
    ("1", "m = Concat <axis = 1> (c, image) y = Relu (m)", "'m' (Concat)"),
    ("1", "m = Squeeze (c, zero) y = Relu (m)", "'m' (Squeeze)"),
    ("1", "g = GlobalAveragePool (c) y = Squeeze (g)", "'y' (Squeeze)"),
    ("1", "g = GlobalAveragePool (c) m = Reshape (g, four) y = Relu (m)", "'m' (Reshape)"),
    ("N", "m = Flatten <axis = 2> (c) y = Relu (m)", "'m' (Flatten)"),
    ("2", "m = Mul (c, pair) y = Relu (m)", "'m' (Mul)"),
    ("N", "m = Reshape (c, two) r = Relu (m) y = Reshape (r, wide)", "'m' (Reshape)"),
    ("2", "m = Reshape (c, two) y = Reshape (m, wide)", "'m' (Reshape)"),
    ("?", "m = Reshape (c, large) r = Relu (m) y = Reshape (r, rest)", "'m' (Reshape)"),
]
WEIGHTS = {
    "w": weight(4, 3, 3, 3), "image": weight(1, 2, 6, 6), "pair": weight(2, 4, 1, 1),
    "zero": np.array([0]), "four": np.array([4]), "two": np.array([-1, 2]),
    "row": weight(1, 4, 6, 6), "tokens": np.array([1, 4, 36]), "size": np.array([2, 3]),
    "wide": np.array([-1, 4]), "large": np.array([-1, 288]), "rest": np.array([-1, 144]),
}  # fmt: skip


def network(batch: str, body: str) -> Program:
    text = f"g (float[{batch},3,8,8] x) => (float y) {{ c = Conv (x, w) {body} }}"
    made = program(text, **WEIGHTS)
    made.graph.outputs[0].shape = None
    return made


@pytest.mark.parametrize(("batch", "body", "culprit"), MIXING)
def test_what_mixes_images_is_refused_by_name(batch: str, body: str, culprit: str) -> None:
    with pytest.raises(ModelError) as error:
        base.run(network(batch, body), normalise.pipeline())
    assert str(error.value).startswith(f"node {culprit} mixes the images of a batch: ")


APART = {
    "a constant of one row": ("1", "z = Add (c, row) y = Concat <axis = 1> (c, z)"),
    "attention": (
        "1",
        "q = Reshape (c, tokens) t = Transpose <perm = [0, 2, 1]> (q) l = MatMul (q, t)"
        " p = Softmax <axis = -1> (l) y = MatMul (p, q)",
    ),
    "a gate": (
        "1",
        "m = ReduceMean <keepdims = 0> (c, size) s = Sigmoid (m) u = Unsqueeze (s, size)"
        " y = Mul (c, u)",
    ),
    "a squeeze": ("N", "g = GlobalAveragePool (c) s = Squeeze (g) y = Relu (s)"),
}


@pytest.mark.parametrize("case", APART)
def test_what_is_read_computes_each_image_by_itself(case: str) -> None:
    made = network(*APART[case])
    base.run(made, normalise.pipeline())
    x = weight(3, 3, 8, 8, seed=1)
    alone = [compute(made, {"x": image[None]})[0] for image in x]
    np.testing.assert_allclose(compute(made, {"x": x})[0], np.concatenate(alone), atol=1e-5)


def test_rows_are_counted_by_one_name() -> None:
    made = network("N", "m = Reshape (c, rest) y = Relu (m) k = Relu (pair)")
    InferShapes().apply(made)
    assert SeparateImages().apply(made) == []
    assert [str(n.outputs[0].shape) for n in made.graph] == [
        "[N,4,6,6]",
        "[N,144]",
        "[N,144]",
        "[2,4,1,1]",
    ]
    assert ops(made) == ["Conv", "Reshape", "Relu", "Relu"]
