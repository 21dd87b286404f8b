"""A quantised file is read as the network of its quantised weights."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime import quantization

from hydrafy.execute.session import Session
from hydrafy.passes.normalise.quantised import DropQuantisation
from hydrafy.passes.normalise.shapes import InferShapes
from hydrafy.runtime.read import read
from tests.passes.sources import compute, model, ops, program, weight

NET = """
g (float[N,3,8,8] x) => (float[N,5] y) {
  a = Conv <pads = [1, 1, 1, 1]> (x, w)
  b = Relu (a)
  c = Conv (b, v, s)
  d = Add (c, b)
  e = Relu (d)
  f = GlobalAveragePool (e)
  g = Flatten (f)
  y = Gemm <transB = 1> (g, u, t)
}"""


class Images(quantization.CalibrationDataReader):
    def __init__(self) -> None:
        self.left = [weight(8, 3, 8, 8, seed=n) for n in range(4)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return {"x": self.left.pop()} if self.left else None


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
def test_a_network_that_onnxruntime_quantised(
    tmp_path: Path, symmetric: bool, per_channel: bool
) -> None:
    weights = {"w": weight(8, 3, 3, 3) / 5, "v": weight(8, 8, 1, 1, seed=1) / 3, "u": weight(5, 8)}
    weights |= {"s": weight(8, seed=2), "t": weight(5, seed=3)}
    plain, quantised = tmp_path / "plain.onnx", tmp_path / "quantised.onnx"
    onnx.save(model(NET, opset=17, **weights), plain)
    quantization.quantize_static(
        plain,
        quantised,
        Images(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=per_channel,
        extra_options={"ActivationSymmetric": symmetric},
    )
    assert ("Relu" in {n.op_type for n in onnx.load(quantised).graph.node}) == symmetric
    cut = "Relu" if symmetric else "Clip"
    made = read(quantised)
    assert ops(made) == [
        "Conv", cut, "Conv", "Add", cut, "GlobalAveragePool", "Flatten", "Gemm"
    ]  # fmt: skip
    journal = {entry.by: entry.notes for entry in made.manifest.journal}
    assert "the network of the quantised weights" in journal["drop-quantisation"][0]
    x = weight(16, 3, 8, 8, seed=9)
    found, stored = compute(made, {"x": x})[0], Session(quantised).run({"x": x})["y"]
    scale = np.abs(stored).max()
    assert np.abs(found - stored).max() < 0.05 * scale  # 8 bits for each result in between
    original = Session(plain, threads=1).run({"x": x})["y"]
    assert 0 < np.abs(found - original).max() < 0.05 * scale  # 8 bits for each weight


PAIR = "q = QuantizeLinear ({x}, s, z)  d = DequantizeLinear (q, s, z)"
PAIRS = [
    ("a = Conv (x, w)", "a", np.uint8(0), ["Conv", "Clip", "Sigmoid"]),
    ("a = Conv (x, w)", "a", np.int8(-128), ["Conv", "Clip", "Sigmoid"]),
    ("a = Conv (x, w)", "a", np.uint8(128), ["Conv", "Sigmoid"]),
    ("a = Conv (x, w)", "a", np.int8(0), ["Conv", "Sigmoid"]),
    ("b = Relu (x)  a = MaxPool <kernel_shape = [2, 2]> (b)", "a", np.uint8(0),
     ["Relu", "MaxPool", "Sigmoid"]),
    ("a = Identity (x)", "x", np.uint8(0), ["Identity", "Sigmoid"]),
]  # fmt: skip


@pytest.mark.parametrize(("before", "source", "zero", "kinds"), PAIRS)
def test_a_pair_is_a_clip_where_it_cuts(
    before: str, source: str, zero: np.generic, kinds: list[str]
) -> None:
    made = program(
        f"""
        g (float[N,2,4,4] x) => (float[N,2,A,B] y, float[N,2,C,D] a) {{
          {before}
          {PAIR.format(x=source)}
          y = Sigmoid (d)
        }}""",
        w=weight(2, 2, 1, 1),
        s=np.float32(0.1),
        z=np.array(zero),
    )
    for value in (v for node in made.graph for v in node.outputs):
        value.dtype = made.data_inputs[0].dtype
    DropQuantisation().apply(made)
    assert [kind for kind in ops(made) if kind != "Identity"] == [
        kind for kind in kinds if kind != "Identity"
    ]


@pytest.mark.parametrize("scale", [1, 8])
def test_a_relu6_that_a_quantiser_dropped(scale: float) -> None:
    """Where a Clip stood, only the range of what is stored says so: 0 to 6."""
    made = program(
        f"""
        g (float[N,3,8,8] x) => (float[N,4,6,6] y) {{
          c = Conv (x, w)
          {PAIR.format(x="c")}
          y = Identity (d)
        }}""",
        w=weight(4, 3, 3, 3),
        s=np.float32(6 / 255),
        z=np.array(np.uint8(0)),
    )
    x = weight(2, 3, 8, 8, seed=1) * np.float32(scale)
    (stored,) = compute(made.clone(), {"x": x})
    assert stored.min() == 0 and stored.max() == np.float32(6)
    found = read(made)
    assert ops(found) == ["Conv", "Clip"]
    journal = {entry.by: entry.notes for entry in found.manifest.journal}
    assert "1 ranges from zero on" in journal["drop-quantisation"][1]
    half = 1.001 * 3 / 255  # of a step
    np.testing.assert_allclose(compute(found, {"x": x})[0], stored, atol=half)


def test_two_ranges_of_one_result() -> None:
    made = program(
        """
        g (float[N,2] x) => (float[N,2] y) {
          a = MatMul (x, w)
          q = QuantizeLinear (a, s, z)  d = DequantizeLinear (q, s, z)
          p = QuantizeLinear (a, t, z)  e = DequantizeLinear (p, t, z)
          y = Sub (d, e)
        }""",
        w=weight(2, 2),
        s=np.float32(0.01),
        t=np.float32(0.02),
        z=np.array(np.uint8(0)),
    )
    x = 9 * weight(8, 2)
    (stored,) = compute(made.clone(), {"x": x})
    InferShapes().apply(made)
    DropQuantisation().apply(made)
    assert ops(made) == ["MatMul", "Clip", "Clip", "Sub"]
    assert stored.min() == np.float32(2.55) - np.float32(5.1)
    np.testing.assert_allclose(compute(made, {"x": x})[0], stored, atol=0.016)


def test_an_output_keeps_its_name() -> None:
    made = program(
        f"g (float[N,2] x) => (float[N,2] d) {{ a = Sigmoid (x)  {PAIR.format(x='a')} }}",
        s=np.float32(0.1),
        z=np.array(np.uint8(0)),
    )
    DropQuantisation().apply(made)
    assert ops(made) == ["Sigmoid"]
    assert [v.name for v in made.graph.outputs] == ["d"]
    x = weight(3, 2)
    np.testing.assert_allclose(compute(made, {"x": x})[0], 1 / (1 + np.exp(-x)), rtol=1e-5)


def test_a_change_of_scale_stays() -> None:
    made = program(
        "g (float[N,2] x) => (float[N,2] y) "
        "{ q = QuantizeLinear (x, s, z)  y = DequantizeLinear (q, t, z) }",
        s=np.float32(0.1),
        t=np.float32(0.2),
        z=np.array(np.uint8(0)),
    )
    assert DropQuantisation().apply(made) == []
    assert ops(made) == ["QuantizeLinear", "DequantizeLinear"]


@pytest.mark.parametrize(("said", "kinds"), [(3, []), (2, ["Clip"])])
def test_a_type_without_a_zero_point(said: int, kinds: list[str]) -> None:
    """What is stored may be int8 (3), around zero, or uint8 (2), from zero on."""
    made = program(
        f"""
        g (float[N,2] x) => (float[N,2] y) {{
          a = Neg (x)
          q = QuantizeLinear <output_dtype = {said}> (a, s)
          d = DequantizeLinear (q, s)
          y = Tanh (d)
        }}""",
        opset=21,
        s=np.float32(0.1),
    )
    DropQuantisation().apply(made)
    assert ops(made) == ["Neg", *kinds, "Tanh"]
