"""Files that were exported for one image take any number of them, Reshapes included."""

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.errors import ModelError
from hydrafy.passes import base, normalise
from hydrafy.passes.normalise.batch import FreeBatch
from hydrafy.passes.normalise.shapes import InferShapes
from tests.passes.sources import compute, program, weight

HEADS = {
    "literal": ("", "d = Reshape (c, target)", np.array([1, 8])),
    "minus one": ("", "d = Reshape (c, target)", np.array([-1, 8])),
    "rest": ("", "d = Reshape (c, target)", np.array([1, -1])),
    "zero": ("", "d = Reshape (c, target)", np.array([0, -1])),
    "computed": (
        "s = Shape (x)  n = Gather <axis = 0> (s, zero)  u = Unsqueeze (n, axes)"
        " t = Concat <axis = 0> (u, minus)",
        "d = Reshape (c, t)",
        np.array([7]),
    ),
}


@pytest.mark.parametrize("batch", ["1", "4", "N", "M", "?"])
@pytest.mark.parametrize("head", HEADS)
def test_a_fixed_batch_becomes_free(batch: str, head: str) -> None:
    before, reshape, target = HEADS[head]
    if batch == "4" and head in ("literal", "rest"):
        target = np.array([4, *target[1:]])
    if not batch.isdecimal() and head in ("literal", "rest"):
        target = np.array([-1, 8])
    made = program(
        f"""
        g (float[{batch},3,6,6] x) => (float[{batch},5] y) {{
          {before}
          a = Conv <pads = [1, 1, 1, 1]> (x, w)
          b = Relu (a)
          c = GlobalAveragePool (b)
          {reshape}
          y = Gemm <transB = 1> (d, v)
        }}""",
        w=weight(8, 3, 3, 3),
        v=weight(5, 8),
        target=target,
        zero=np.array(0),
        axes=np.array([0]),
        minus=np.array([-1]),
    )
    original = made.clone()
    base.run(made, normalise.pipeline())
    for value in (made.data_inputs[0], *(v for n in made.graph for v in n.outputs)):
        assert value.shape is not None and value.shape[0] == "N", value
        assert all(isinstance(d, int) for d in value.shape[1:])
    fixed = int(batch) if batch.isdecimal() else 3
    x = weight(2 * fixed, 3, 6, 6, seed=1)
    parts = [compute(original, {"x": part})[0] for part in np.split(x, 2)]
    np.testing.assert_allclose(compute(made, {"x": x})[0], np.concatenate(parts), atol=1e-5)
    assert compute(made, {"x": x[:0]})[0].shape == (0, 5)


def test_a_reshape_of_one_image_keeps_its_rows() -> None:
    made = program(
        "g (float[1,4,2,3] x) => (float[A,B,C] y) { y = Reshape (x, t) }", t=np.array([-1, 12, 2])
    )
    InferShapes().apply(made)
    notes = FreeBatch().apply(made)
    assert notes[0] == "the batch dimension 1 became N"
    assert "keeps its rows: target [0, 12, 2]" in notes[1]
    x = weight(5, 4, 2, 3)
    np.testing.assert_array_equal(compute(made, {"x": x})[0], x.reshape(5, 12, 2))


def test_a_reshape_that_mixes_rows_is_left_as_it_is() -> None:
    made = program(
        "g (float[N,4,2,3] x) => (float[A,6] y) { y = Reshape (x, t) }", t=np.array([-1, 6])
    )
    InferShapes().apply(made)
    assert FreeBatch().apply(made) == []
    x = weight(5, 4, 2, 3)
    np.testing.assert_array_equal(compute(made, {"x": x})[0], x.reshape(20, 6))


SQUEEZED = [
    ("N,4,1,1", "y = Squeeze (x)", ["Squeeze 'y' keeps its rows: axes [2, 3]"], (1, 4)),
    ("3,1,4,1", "y = Squeeze (x)", ["Squeeze 'y' keeps its rows: axes [1, 3]"], (1, 4)),
    ("N,4,2,2", "y = Squeeze (x)", ["Squeeze 'y' keeps its rows: it does nothing"], (1, 4, 2, 2)),
    ("N,4,1,1", "y = Squeeze (x, axes)", [], (1, 4)),
]


@pytest.mark.parametrize(("shape", "body", "notes", "row"), SQUEEZED)
def test_a_squeeze_of_a_single_image_keeps_its_row(
    shape: str, body: str, notes: list[str], row: tuple[int, ...]
) -> None:
    made = program(f"g (float[{shape}] x) => (float y) {{ {body} }}", axes=np.array([2, 3]))
    made.graph.outputs[0].shape = None
    InferShapes().apply(made)
    found = FreeBatch().apply(made)
    assert [note for note in found if "Squeeze" in note] == notes
    x = weight(1, *(int(d) for d in shape.split(",")[1:]))
    np.testing.assert_array_equal(compute(made, {"x": x})[0], x.reshape(row), strict=True)


def test_a_squeeze_that_drops_the_batch_dimension_is_left_as_it_is() -> None:
    made = program("g (float[1,4,1,1] x) => (float[4] y) { y = Squeeze (x) }")
    assert FreeBatch().apply(made) == ["the batch dimension 1 became N"]
    assert len(made.graph[0].inputs) == 1


REFUSED = [
    ("g (float[N,4] x) => (float[N,4] y) { y = Relu (x) }", r"'x' has the shape \[N,4\]"),
    ("g (float[N,3,H,W] x) => (float[N,3,H,W] y) { y = Relu (x) }", "fixed image size"),
    (
        "g (float[N,3,4,4] x, float[N,3,4,4] z) => (float[N,3,4,4] y) { y = Add (x, z) }",
        "must have one input, an image batch; it has 'x', 'z'",
    ),
    (
        "g (float[N,3,4,4] x) => (float[N,3,4,4] y) { y = Add (x, w) }",
        r"node 'y' \(Add\) does not fit its inputs",
    ),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_is_no_image_batch_is_refused(text: str, message: str) -> None:
    made = program(text, w=weight(7))
    for node in made.graph:
        for value in node.outputs:
            value.shape = None
    with pytest.raises(ModelError, match=message):
        FreeBatch().apply(made)
    assert isinstance(made.graph, ir.Graph)
