"""Old opsets are raised; what is computed stays."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from hydrafy.errors import ModelError
from hydrafy.ir.manifest import Manifest
from hydrafy.ir.program import Program
from hydrafy.passes.normalise.opset import RaiseOpset
from tests.passes.sources import compute, model, ops, program, weight

OLD = """
g (float[N,3,8,8] x) => (float[N,2] y) {
  a = Conv <pads = [1, 1, 1, 1]> (x, w)
  b = Relu (a)
  c = ReduceMean <axes = [2, 3], keepdims = 0> (b)
  y = Softmax <axis = 1> (c)
}"""


RELU = "g (float[N,4] x) => (float[N,4] y) { y = Relu (x) }"


@pytest.mark.parametrize("opset", [9, 11, 13, 17])
def test_an_old_opset_is_raised(opset: int) -> None:
    weights = {"w": weight(2, 3, 3, 3)}
    made = program(OLD, opset=opset, **weights)
    made.model.metadata_props["author"] = "someone"
    x = weight(3, 3, 8, 8, seed=1)
    wanted = compute(model(OLD, opset=opset, **weights), {"x": x})
    assert RaiseOpset().apply(made) == [f"opset {opset} became 18"]
    assert made.graph.opset_imports[""] == 18
    assert "ReduceMean" in ops(made)
    assert len(next(n for n in made.graph if n.op_type == "ReduceMean").inputs) == 2
    assert made.model.metadata_props["author"] == "someone"
    np.testing.assert_allclose(compute(made, {"x": x})[0], wanted[0], atol=1e-6)


@pytest.mark.parametrize("opset", [18, 21])
def test_a_later_opset_stays(opset: int) -> None:
    made = program("g (float[N,4] x) => (float[N,4] y) { y = Relu (x) }", opset=opset)
    assert RaiseOpset().apply(made) == []
    assert made.graph.opset_imports[""] == opset


@pytest.mark.parametrize(("version", "raised"), [(3, 8), (7, 8), (8, 8), (10, 10)])
@pytest.mark.parametrize("opset", [11, 18])
def test_an_old_ir_version_is_raised(version: int, raised: int, opset: int) -> None:
    """So that a weight that is also an input may be fed, and one that is none may stay."""
    proto = model(OLD, opset=opset, w=weight(2, 3, 3, 3)) if opset < 18 else model(RELU)
    proto.ir_version = version
    if version == 3:
        proto.graph.input.extend(
            onnx.helper.make_tensor_value_info(w.name, w.data_type, w.dims)
            for w in proto.graph.initializer
        )
    made = Program(ir.from_proto(proto), Manifest())
    notes = RaiseOpset().apply(made)
    assert made.model.ir_version == raised
    assert (f"IR version {version} became 8" in notes) == (version < 8)
    onnx.checker.check_model(made.to_onnx())


def test_what_cannot_be_raised_is_refused() -> None:
    made = program("g (float[N,4] x) => (float[N,4] y) { y = Foo (x) }", opset=9)
    with pytest.raises(ModelError, match=r"opset 9 cannot be converted to 18: .*newer opset"):
        RaiseOpset().apply(made)
    assert made.graph.opset_imports[""] == 9


@pytest.mark.parametrize("listed", [False, True])
def test_large_weights_go_around_the_converter(listed: bool) -> None:
    """Each keeps its place, its name and its array; a weight may be an input, as of old."""
    text = "g (float[N,64] x) => (float[N,64] y) { a = MatMul (x, w)  y = Add (a, b) }"
    proto = model(text, opset=11, w=weight(64, 64), b=weight(64))
    if listed:
        proto.graph.input.append(onnx.helper.make_tensor_value_info("w", 1, [64, 64]))
    made = Program(ir.from_proto(proto), Manifest())
    kept = made.graph.initializers["w"].const_value
    RaiseOpset().apply(made)
    assert made.graph.initializers["w"].const_value is kept
    assert [v.name for v in made.graph.inputs] == (["x", "w"] if listed else ["x"])
    x = weight(2, 64, seed=1)
    wanted = x @ weight(64, 64) + weight(64)
    np.testing.assert_allclose(compute(made, {"x": x})[0], wanted, rtol=1e-4, atol=1e-4)


def test_the_converter_never_sees_large_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protobuf cannot write over 2 GB, so a model of any size must reach it small."""
    seen = []
    convert = onnx.version_converter.convert_version

    def spy(proto: onnx.ModelProto, version: int) -> onnx.ModelProto:
        seen.append(proto.ByteSize())
        return convert(proto, version)

    monkeypatch.setattr(onnx.version_converter, "convert_version", spy)
    text = OLD.replace("float[N,2] y", "float[N,200] y")
    made = program(text, opset=11, w=weight(200, 3, 3, 3))
    RaiseOpset().apply(made)
    assert made.weight("w").nbytes > 20_000 > 2_000 > seen[0]
