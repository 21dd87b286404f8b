"""Types and shapes are completed; a CastLike becomes the Cast that it means."""

import numpy as np
import onnx_ir as ir

from hydrafy.passes.normalise.shapes import InferShapes
from tests.passes.sources import compute, ops, program, weight


def test_every_value_is_typed_and_shaped() -> None:
    made = program(
        """
        g (float[N,3,8,8] x) => (float[N,5] y) {
          a = Conv <strides = [2, 2]> (x, w)
          b = Flatten <axis = 1> (a)
          y = Gemm (b, v)
        }""",
        w=weight(2, 3, 2, 2),
        v=weight(32, 5),
    )
    assert InferShapes().apply(made) == []
    shapes = [[*v.shape][1:] for n in made.graph for v in n.outputs]
    assert shapes == [[2, 4, 4], [32], [5]]
    assert {v.dtype for n in made.graph for v in n.outputs} == {ir.DataType.FLOAT}


def test_castlike_becomes_cast() -> None:
    made = program(
        """
        g (float[N,4] x, int64[N,4] z) => (float[N,4] y) {
          a = CastLike (z, x)
          y = Add (a, x)
        }"""
    )
    assert InferShapes().apply(made) == ["1 CastLike nodes became Cast"]
    assert ops(made) == ["Cast", "Add"]
    x, z = weight(2, 4), np.arange(8).reshape(2, 4)
    np.testing.assert_array_equal(compute(made, {"x": x, "z": z})[0], x + z.astype(np.float32))
