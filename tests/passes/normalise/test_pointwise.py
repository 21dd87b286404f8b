"""Gates of linear layers become gates of 1x1 convolutions, whatever views stand around them."""

import numpy as np
import pytest

from hydrafy.ir.verify import verify
from hydrafy.passes.normalise.constants import FoldConstants
from hydrafy.passes.normalise.pointwise import PointwiseGates
from hydrafy.passes.normalise.shapes import InferShapes
from tests.passes.sources import compute, ops, program, weight

POOLS = {
    "flatten": "p = GlobalAveragePool (x)  f = Flatten (p)",
    "reshape": "p = GlobalAveragePool (x)  f = Reshape (p, two)",
    "squeeze": "p = GlobalAveragePool (x)  q = Squeeze (p, last)  f = Squeeze (q, last)",
    "mean": "f = ReduceMean <keepdims = 0> (x, plane)",
}
LAYERS = {
    "gemm": "a = Gemm <transB = 1> (f, w, b)  c = Relu (a)  d = Gemm (c, v)",
    "matmul": "a = MatMul (f, u)  e = Add (a, b)  c = Relu (e)  d = MatMul (c, v)",
    "silu": "a = Gemm <transB = 1> (f, w, b)  s = Sigmoid (a)  c = Mul (a, s)  d = Gemm (c, v)",
    "clip": "a = Gemm <transB = 1> (f, w, b)  c = Clip (a, zero, six)  d = Gemm (c, v)",
}
VIEWS = {
    "reshape": "m = Reshape (g, four)",
    "unsqueeze": "m = Unsqueeze (g, plane)",
    "twice": "h = Unsqueeze (g, two_only)  m = Unsqueeze (h, three_only)",
}
CONSTANTS = {
    "two": np.array([0, -1]),
    "four": np.array([0, 4, 1, 1]),
    "last": np.array([-1]),
    "plane": np.array([2, 3]),
    "two_only": np.array([2]),
    "three_only": np.array([3]),
    "w": weight(3, 4),
    "u": weight(4, 3),
    "b": weight(3, seed=1),
    "v": weight(3, 4, seed=2),
    "zero": np.float32(0),
    "six": np.float32(6),
}
CASES = [
    *((pool, "gemm", "reshape") for pool in POOLS),
    *(("flatten", layer, "unsqueeze") for layer in LAYERS),
    *(("mean", "matmul", view) for view in VIEWS),
]


@pytest.mark.parametrize(("pool", "layer", "view"), CASES)
def test_all_values_of_a_gate_are_maps(pool: str, layer: str, view: str) -> None:
    made = program(
        f"""
        g (float[N,4,5,5] x) => (float[N,4,5,5] y) {{
          {POOLS[pool]}
          {LAYERS[layer]}
          g = Sigmoid (d)
          {VIEWS[view]}
          y = Mul (x, m)
        }}""",
        **CONSTANTS,
    )
    InferShapes().apply(made)
    x = weight(3, 4, 5, 5, seed=3)
    wanted = compute(made.clone(), {"x": x})[0]
    assert PointwiseGates().apply(made) == ["2 linear layers became 1x1 convolutions"]
    assert not {"Gemm", "MatMul", "Flatten", "Reshape", "Squeeze", "Unsqueeze"} & {*ops(made)}
    assert ops(made).count("Conv") == 2
    assert all(len(v.shape) == 4 for node in made.graph for v in node.outputs)
    assert {"b", "v"} <= set(made.graph.initializers)
    np.testing.assert_allclose(compute(made, {"x": x})[0], wanted, rtol=1e-5, atol=1e-6)


KEPT = [
    "p = GlobalAveragePool (x)  f = Flatten (p)  y = Gemm <transB = 1> (f, w, b)",
    "p = GlobalAveragePool (x)  f = Flatten (p)  s = Softmax (f)  y = Reshape (s, four)",
    "f = Flatten (x)  m = MatMul (f, t)  y = Reshape (m, four)",
    "p = GlobalAveragePool (x)  f = Flatten (p)  m = Gemm <alpha = 2.0> (f, k)"
    "  y = Reshape (m, four)",
    "p = GlobalAveragePool (x)  f = Reshape (p, pairs)  m = MatMul (f, h)  y = Reshape (m, four)",
    "p = GlobalAveragePool (x)  f = Flatten (p)  m = MatMul (f, k)  y = Reshape (m, maps)",
    "f = ReduceMean <keepdims = 0> (x, plane)  m = MatMul (f, k)  a = Add (m, each)"
    "  y = Reshape (a, four)",
    "f = ReduceMean <keepdims = 0> (x, plane)  m = Gemm (f, k, each)  y = Reshape (m, four)",
]


@pytest.mark.parametrize("body", KEPT)
def test_heads_and_what_is_no_map_before_stay(body: str) -> None:
    made = program(
        f"g (float[4,4,5,5] x) => (float y) {{ {body} }}",
        **CONSTANTS,
        t=weight(100, 4),
        k=weight(4, 4),
        h=weight(2, 2),
        each=weight(4, 1),
        pairs=np.array([-1, 2]),
        maps=np.array([-1, 2, 1, 1]),
    )
    made.graph.outputs[0].shape = None
    FoldConstants().apply(made)
    InferShapes().apply(made)
    before = ops(made)
    assert PointwiseGates().apply(made) == []
    assert ops(made) == before


@pytest.mark.parametrize("outputs", ["", ", float[N,4] a", ", float[N,4,1,1] m"])
def test_what_others_read_is_computed_once_and_keeps_its_name(outputs: str) -> None:
    made = program(
        f"""
        g (float[N,4,5,5] x) => (float[N,4,5,5] y, float[N,4] z{outputs}) {{
          p = GlobalAveragePool (x)
          f = Flatten (p)
          a = MatMul (f, k)
          m = Reshape (a, four)
          y = Mul (x, m)
          z = Relu (a)
        }}""",
        k=weight(4, 4),
        four=np.array([0, 4, 1, 1]),
    )
    InferShapes().apply(made)
    x = weight(3, 4, 5, 5, seed=3)
    wanted = compute(made.clone(), {"x": x})
    names = [v.name for v in made.graph.outputs]
    PointwiseGates().apply(made)
    assert sorted(ops(made)) == ["Conv", "Flatten", "GlobalAveragePool", "Mul", "Relu"]
    assert list(made.graph.initializers) == ["k"]
    assert [v.name for v in made.graph.outputs] == names
    verify(made, by="the pass")
    for found, want in zip(compute(made, {"x": x}), wanted, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)
