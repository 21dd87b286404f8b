"""What onnxruntime fused is taken apart again."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from hydrafy.execute.session import Session
from hydrafy.passes.normalise.fused import SplitFused
from hydrafy.runtime.read import read
from tests.passes.sources import compute, model, ops, program, weight

LAYERS = [
    ('FusedConv <activation = "Relu"> (x, w)', ["Conv", "Relu"]),
    ('FusedConv <activation = "Relu"> (x, w, b, x)', ["Conv", "Add", "Relu"]),
    (
        'FusedConv <activation = "Clip", activation_params = [-0.5, 0.5]> (x, w, b)',
        ["Conv", "Clip"],
    ),
    (
        'FusedConv <activation = "LeakyRelu", activation_params = [0.3]> (x, w)',
        ["Conv", "LeakyRelu"],
    ),
    (
        'FusedConv <activation = "HardSigmoid", activation_params = [0.3, 0.4]> (x, w)',
        ["Conv", "HardSigmoid"],
    ),
    ('FusedConv <activation = "Sigmoid", group = 2> (x, g, b)', ["Conv", "Sigmoid"]),
    ("QuickGelu <alpha = 1.0> (x)", ["Sigmoid", "Mul"]),
    ("QuickGelu <alpha = 1.5> (x)", ["Mul", "Sigmoid", "Mul"]),
]


@pytest.mark.parametrize(("node", "kinds"), LAYERS, ids=str)
def test_each_fused_node(node: str, kinds: list[str]) -> None:
    made = program(
        f"g (float[N,2,4,4] x) => (float[N,2,4,4] y) {{ y = com.microsoft.{node} }}",
        w=weight(2, 2, 1, 1),
        g=weight(2, 1, 1, 1),
        b=weight(2, seed=1),
    )
    made.graph.opset_imports["com.microsoft"] = 1
    x = weight(3, 2, 4, 4, seed=2)
    wanted = compute(made.clone(), {"x": x})[0]
    assert SplitFused().apply(made) == ["1 nodes that onnxruntime had fused were taken apart"]
    assert ops(made) == kinds
    np.testing.assert_allclose(compute(made, {"x": x})[0], wanted, rtol=1e-5, atol=1e-6)


def test_a_fused_linear_layer() -> None:
    made = program(
        "g (float[N,4] x) => (float[N,3] y) "
        '{ y = com.microsoft.FusedGemm <activation = "Relu", transB = 1> (x, w, b) }',
        w=weight(3, 4),
        b=weight(3),
    )
    made.graph.opset_imports["com.microsoft"] = 1
    x = weight(5, 4, seed=2)
    wanted = compute(made.clone(), {"x": x})[0]
    SplitFused().apply(made)
    assert ops(made) == ["Gemm", "Relu"]
    np.testing.assert_allclose(compute(made, {"x": x})[0], wanted, rtol=1e-5, atol=1e-6)


def test_a_block_that_onnxruntime_optimised(tmp_path: Path) -> None:
    source = model(
        """
        g (float[N,2,4,4] x) => (float[N,2,4,4] y) {
          a = Conv (x, w)
          b = Relu (a)
          c = Conv (b, w, v)
          d = Add (c, x)
          e = Relu (d)
          f = Conv (e, w)
          y = Clip (f, low, high)
        }""",
        opset=17,
        w=weight(2, 2, 1, 1),
        v=weight(2),
        low=np.float32(-1),
        high=np.float32(1),
    )
    file = tmp_path / "optimised.onnx"
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(file)
    options.log_severity_level = 3
    level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.graph_optimization_level = level
    onnxruntime.InferenceSession(source.SerializeToString(), options)
    assert "FusedConv" in {node.op_type for node in onnx.load(file).graph.node}
    made = read(file)
    assert ops(made) == ["Conv", "Relu", "Conv", "Add", "Relu", "Conv", "Clip"]
    x = weight(3, 2, 4, 4, seed=3)
    wanted = Session(source, threads=1).run({"x": x})["y"]
    np.testing.assert_allclose(compute(made, {"x": x})[0], wanted, rtol=1e-5, atol=1e-6)
