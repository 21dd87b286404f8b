"""A network on [N, H, W, C] computes the same on [N, C, H, W], and no Transpose is left inside."""

import numpy as np
import pytest

from hydrafy.analysis.layout import layout
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.ir.verify import verify
from hydrafy.passes.normalise.batch import FreeBatch
from hydrafy.passes.normalise.channels_first import ChannelsFirst
from hydrafy.passes.normalise.shapes import InferShapes
from tests.passes.sources import compute, ops, program, weight

IN, OUT = "Transpose <perm = [0, 3, 1, 2]>", "Transpose <perm = [0, 2, 3, 1]>"

BODIES = {
    "activations": "d = Relu (c) e = Clip (d, , six) f = Softmax (e)",
    "joins": "d = Add (c, c) e = Mul (d, vector) f = Concat <axis = 3> (e, c, d)",
    "axis from the end": "d = Concat <axis = -3> (c, c) f = LeakyRelu (d)",
    "constants": "d = Sub (image, c) e = Div (d, six) f = PRelu (e, vector)",
    "pad": "f = Pad (c, ends)",
    "pad with axes": "f = Pad (c, few, , axes)",
    "slice": "f = Slice (c, starts, stops, axes, steps)",
    "slice without axes": "f = Slice (c, starts, stops)",
    "mean that stays": "d = ReduceMean (c, axes) f = Sub (c, d)",
    "gate": "m = ReduceMean (c, image_axes) s = Sigmoid (m) f = Mul (c, s)",
    "foreign": "m = GlobalAveragePool (b) r = Reshape (m, gate) f = Mul (r, c)",
}


def inside(body: str) -> Program:
    """A convolution whose result goes through `body`, from c to f on [N, H, W, C], to another."""
    made = program(
        f"""
        g (float[N,4,6,2] x) => (float[N,A,B,E] y) {{
          a = {IN} (x)
          b = Conv <pads = [1, 1, 1, 1]> (a, w)
          c = {OUT} (b)
          {body}
          h = {IN} (f)
          y = GlobalAveragePool (h)
        }}""",
        w=weight(3, 2, 3, 3),
        six=np.float32(1.5),
        vector=weight(3, seed=2),
        image=weight(4, 6, 3, seed=3),
        ends=np.array([0, 1, 2, 0, 0, 0, 3, 4]),
        few=np.array([1, 2, 0, 1]),
        axes=np.array([-1, 1]),
        image_axes=np.array([1, 2]),
        starts=np.array([1, 0]),
        stops=np.array([3, 2]),
        steps=np.array([1, 2]),
        gate=np.array([0, 1, 1, 3]),
    )
    InferShapes().apply(made)
    FreeBatch().apply(made)
    return made


@pytest.mark.parametrize("body", BODIES)
def test_transposes_cancel(body: str) -> None:
    made = inside(BODIES[body])
    x = weight(2, 4, 6, 2, seed=1)
    original = Session(made.clone(), threads=1, optimise=False)
    (wanted,) = original.run({"x": x}).values()  # 1.31 optimises a Pad with axes into an error
    (note,) = ChannelsFirst().apply(made)
    left = 2 if body == "foreign" else 1  # [N, 1, 1, C] from elsewhere is turned, too
    assert note.endswith(f"{left} are left")
    assert ops(made).count("Transpose") == left and ops(made)[0] == "Transpose"
    verify(made, by="the pass")
    shapes = [v.shape for n in made.graph for v in n.outputs]
    for node in made.graph:  # the stated shapes are the true ones
        for value in node.outputs:
            value.shape = None
    InferShapes().apply(made)
    assert [list(s or ())[1:] for s in shapes] == [
        list(v.shape or ())[1:] for n in made.graph for v in n.outputs
    ]
    np.testing.assert_allclose(compute(made, {"x": x})[0], wanted, rtol=1e-4, atol=1e-6)


HEADS = {
    "flatten": ("f = Flatten (c) y = MatMul (f, v)", True),
    "reshape": ("f = Reshape (c, flat) y = MatMul (f, v)", True),
    "gemm": ("f = Flatten (c) y = Gemm <transB = 1> (f, u)", True),
    "two layers": ("f = Flatten (c) d = MatMul (f, v) e = MatMul (f, v) y = Add (d, e)", True),
    "bias": ("f = Flatten (c) y = Gemm (f, k, f)", False),
    "another reader": ("f = Flatten (c) d = MatMul (f, v) y = Concat <axis = 1> (d, f)", False),
    "mean": ("y = ReduceMean <keepdims = 0> (c, image_axes)", True),
    "mean of one axis": ("d = ReduceMean <keepdims = 0> (c, one) y = Flatten (d)", False),
}  # fmt: skip


@pytest.mark.parametrize("head", HEADS)
def test_a_head_reads_channels_first(head: str) -> None:
    body, turned = HEADS[head]
    made = program(
        f"""
        g (float[N,2,4,6] x) => (float[N,A] y) {{
          b = Conv <pads = [1, 1, 1, 1]> (x, w)
          c = {OUT} (b)
          {body}
        }}""",
        w=weight(3, 2, 3, 3),
        v=weight(72, 5, seed=2),
        u=weight(5, 72, seed=2),
        k=weight(72, 72, seed=3),
        flat=np.array([-1, 72]),
        image_axes=np.array([1, 2]),
        one=np.array([1]),
    )
    InferShapes().apply(made)
    FreeBatch().apply(made)
    x = weight(2, 2, 4, 6, seed=1)
    wanted = compute(made.clone(), {"x": x})
    ChannelsFirst().apply(made)
    assert ("Transpose" not in ops(made)) == turned
    np.testing.assert_allclose(compute(made, {"x": x})[0], wanted[0], rtol=1e-4, atol=1e-5)


def test_what_stands_before_the_first_transpose_is_turned_and_the_input_is_not() -> None:
    made = program(
        f"""
        g (float[N,4,6,2] x) => (float[N,A,B,C] y) {{
          a = Sub (x, v)
          b = Pad (a, ends)
          c = {IN} (b)
          y = Conv (c, w)
        }}""",
        v=weight(2),
        ends=np.array([0, 1, 1, 0, 0, 1, 1, 0]),
        w=weight(3, 2, 3, 3),
    )
    InferShapes().apply(made)
    x = weight(2, 4, 6, 2, seed=1)
    wanted = compute(made.clone(), {"x": x})
    assert ChannelsFirst().apply(made) == [
        "2 nodes work on [N, C, H, W] now; of 1 Transposes 1 are left"
    ]
    assert ops(made) == ["Transpose", "Sub", "Pad", "Conv"]
    assert layout(made) == "NHWC"
    assert ChannelsFirst().apply(made) == []
    np.testing.assert_allclose(compute(made, {"x": x})[0], wanted[0], rtol=1e-5, atol=1e-6)


def test_outputs_and_unknown_nodes_still_get_what_they_did() -> None:
    made = program(
        f"""
        g (float[N,2,4,6] x) => (float[N,4,6,2] y, float[N,4,6,2] z) {{
          a = {OUT} (x)
          y = Relu (a)
          b = LayerNormalization (y, v)
          z = Relu (b)
        }}""",
        v=weight(2),
    )
    InferShapes().apply(made)
    x = weight(2, 2, 4, 6, seed=1)
    wanted = compute(made.clone(), {"x": x})
    ChannelsFirst().apply(made)
    assert ops(made) == ["Relu", "Transpose", "LayerNormalization", "Relu"]
    assert [v.name for v in made.graph.outputs] == ["y", "z"]
    for found, array in zip(compute(made, {"x": x}), wanted, strict=True):
        np.testing.assert_array_equal(found, array)
