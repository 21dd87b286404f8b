"""Files of other float types are read as float32."""

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.passes import base, normalise
from hydrafy.passes.normalise.precision import SinglePrecision
from tests.passes.sources import compute, ops, program, weight

TEXT = """
g ({kind}[N,2,4,4] x) => ({kind}[N,3] y) {{
  a = Conv (x, w)
  b = Add (a, one)
  c = Cast <to = {number}> (b)
  d = GlobalAveragePool (c)
  y = Flatten (d)
}}"""
KINDS = {"float16": np.float16, "double": np.float64}


@pytest.mark.parametrize("kind", KINDS)
def test_weights_inputs_and_casts_are_single(kind: str) -> None:
    kernel = weight(3, 2, 1, 1).astype(KINDS[kind])
    number = ir.DataType[{"double": "DOUBLE"}.get(kind, kind.upper())].value
    made = program(TEXT.format(kind=kind, number=number), w=kernel, one=KINDS[kind](1))
    x = weight(3, 2, 4, 4, seed=1).astype(KINDS[kind])
    wanted = np.einsum("nchw,oc->no", x.astype(float), kernel[:, :, 0, 0].astype(float)) / 16 + 1
    assert SinglePrecision().apply(made) == [f"2 weights of {kind} became float32"]
    base.run(made, normalise.pipeline())
    assert {v.dtype for v in (*made.graph.inputs, *made.graph.outputs)} == {ir.DataType.FLOAT}
    assert "Cast" not in ops(made)
    found = compute(made, {"x": x.astype(np.float32)})[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_brain_floats_are_widened_exactly() -> None:
    made = program("g (float[N,2,4,4] x) => (float[N,3,4,4] y) { y = Conv (x, w) }")
    exact = np.round(weight(3, 2, 1, 1) * 8) / 8
    tensor = ir.tensor(exact.astype(ml_dtypes.bfloat16), name="w")
    value = ir.Value(name="w", const_value=tensor, shape=ir.Shape(exact.shape))
    value.type = ir.TensorType(ir.DataType.BFLOAT16)
    made.graph.register_initializer(value)
    made.graph[0].replace_input_with(1, value)
    assert SinglePrecision().apply(made) == ["1 weights of bfloat16 became float32"]
    np.testing.assert_array_equal(made.weight("w"), exact)
    assert compute(made, {"x": weight(1, 2, 4, 4)})[0].dtype == np.float32


def test_tensors_of_nodes_are_single() -> None:
    made = program(
        """
        g (double[N,4] x) => (double[N,4] y) {
          two = Constant <value = double {2}> ()
          y = Mul (x, two)
        }"""
    )
    SinglePrecision().apply(made)
    x = weight(3, 4)
    np.testing.assert_array_equal(compute(made, {"x": x})[0], 2 * x)


def test_single_precision_and_integers_stay() -> None:
    made = program(
        "g (float[N,4] x) => (float[N,2,2] y) { y = Reshape (x, t) }", t=np.array([0, 2, 2])
    )
    assert SinglePrecision().apply(made) == []
    assert made.weight("t").dtype == np.int64
