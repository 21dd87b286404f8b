"""A model's functions are written out; what they compute stays."""

import onnx
import onnx.parser
import pytest

from hydrafy.errors import ModelError
from hydrafy.ir.files import from_proto
from hydrafy.ir.manifest import Manifest
from hydrafy.ir.program import Program
from hydrafy.passes.base import run
from hydrafy.passes.normalise.functions import InlineFunctions
from tests.passes.sources import compute, ops, weight

MODEL = """
<ir_version: 9, opset_import: ["": 18, "pkg": 1]>
net (float[N, 3, 4, 4] x) => (float[N, 3, 4, 4] y) {
  a = pkg.Twice <scale = 3.0> (x)
  y = pkg.Twice (a)
}
<domain: "pkg", opset_import: ["": 18, "pkg": 1]>
Twice <scale: float = 2.0> (x) => (y) {
  positive = Relu (x)
  y = pkg.Scale <scale: float = @scale> (positive)
}
<domain: "pkg", opset_import: ["": 18]>
Scale <scale: float> (x) => (y) {
  factor = Constant <value_float: float = @scale> ()
  y = Mul (x, factor)
}
<domain: "pkg", opset_import: ["": 18]>
Idle (x) => (y) { y = Relu (x) }"""


def test_calls_become_the_nodes_that_they_mean() -> None:
    model = onnx.parser.parse_model(MODEL)
    x = weight(2, 3, 4, 4)
    (wanted,) = compute(model, {"x": x})
    program = run(Program(from_proto(model), Manifest()), [InlineFunctions()])
    assert ops(program) == ["Relu", "Constant", "Mul"] * 2
    assert not program.model.functions
    (found,) = compute(program, {"x": x})
    assert found.tobytes() == wanted.tobytes()
    assert [entry.notes for entry in program.manifest.journal] == [
        ("3 functions were written out",)
    ]


def test_functions_of_another_opset_are_refused() -> None:
    model = onnx.parser.parse_model(MODEL)
    model.functions[1].opset_import[0].version = 15
    program = Program(from_proto(model), Manifest())
    with pytest.raises(ModelError, match=r"cannot be written out: .*pkg::Scale.*version 15"):
        run(program, [InlineFunctions()])
