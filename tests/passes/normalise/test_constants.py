"""What depends on constants alone becomes an initializer, whoever wrote it and in which form."""

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from hydrafy.execute import session
from hydrafy.ir.manifest import Manifest
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.ir.verify import faults
from hydrafy.passes.normalise.constants import FoldConstants
from hydrafy.runtime.read import read
from tests.passes.sources import compute, model, ops, program, weight


def test_constant_nodes_and_what_they_feed() -> None:
    made = program(
        """
        g (float[N,6] x) => (float[N,2,3] y) {
          two = Constant <value = int64[1] {2}> ()
          three = Constant <value_int: int = 3> ()
          axis = Constant <value_ints = [0]> ()
          tall = Unsqueeze (three, axis)
          all = Constant <value = int64[1] {-1}> ()
          shape = Concat <axis = 0> (all, two, tall)
          y = Reshape (x, shape)
        }"""
    )
    assert FoldConstants().apply(made) == ["2 nodes computed 1 constants"]
    assert ops(made) == ["Reshape"]
    assert made.weight("shape").tolist() == [-1, 2, 3]
    assert list(faults(made)) == []
    x = weight(5, 6)
    np.testing.assert_array_equal(compute(made, {"x": x})[0], x.reshape(5, 2, 3))


def test_shapes_of_weights_are_constants_and_shapes_of_data_are_not() -> None:
    made = program(
        """
        g (float[N,4] x) => (float[N,4] y, int64[2] size) {
          shape = Shape (w)
          bias = Expand (small, shape)
          y = Add (x, bias)
          size = Shape (x)
        }""",
        w=weight(4),
        small=np.float32(0.5),
    )
    FoldConstants().apply(made)
    assert ops(made) == ["Add", "Shape"]
    np.testing.assert_array_equal(made.weight("bias"), np.full(4, 0.5, np.float32))


def test_initializers_that_are_listed_as_inputs_are_constants() -> None:
    """Files of IR version 3 list every initializer among the inputs."""
    made = model("g (float[N,4] x, float[4] w) => (float[N,4] y) { y = Add (x, w) }", w=weight(4))
    found = Program(ir.from_proto(made), Manifest())
    assert constant(found.graph.initializers["w"]) is None
    (note,) = FoldConstants().apply(found)
    assert note == "inputs with a value of their own are constants now: 'w'"
    assert [v.name for v in found.graph.inputs] == ["x"]
    np.testing.assert_array_equal(constant(found.graph.initializers["w"]), weight(4))


def test_an_input_that_could_be_overridden_is_named_in_the_journal() -> None:
    """From IR version 4 on such an input is one on purpose."""
    made = model(
        """
        g (float[N,3,4,4] x, float a, float b, float c, float d) => (float[N,3,4,4] y) {
          s = Sum (a, b, c, d)
          y = Mul (x, s)
        }""",
        **{name: np.float32(2) for name in "abcd"},
    )
    found = read(made)
    assert [v.name for v in found.graph.inputs] == ["x"]
    (entry,) = (entry for entry in found.manifest.journal if entry.by == "fold-constants")
    assert entry.notes == (
        "inputs with a value of their own are constants now: 'a', 'b', 'c' and 1 more",
        "1 nodes computed 1 constants",
    )
    x = weight(2, 3, 4, 4)
    np.testing.assert_allclose(compute(found, {"x": x})[0], 8 * x, rtol=1e-6)


def test_an_output_may_be_constant_and_a_folded_value_may_be_read_twice() -> None:
    made = program(
        """
        g (float[N,4] x) => (float[N,4] y, float[4] c) {
          c = Add (w, w)
          a = Add (x, c)
          y = Mul (a, c)
        }""",
        w=weight(4),
    )
    x = weight(2, 4, seed=1)
    wanted = compute(made.clone(), {"x": x})
    assert FoldConstants().apply(made) == ["1 nodes computed 1 constants"]
    assert [v.name for v in made.graph.outputs] == ["y", "c"]
    for a, b in zip(compute(made, {"x": x}), wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_nodes_with_several_outputs() -> None:
    made = program(
        """
        g (float[N,4] x) => (float[N,4] y) {
          left, right = Split <num_outputs = 2> (w)
          a = Add (x, right)
          y = Identity (a)
        }""",
        w=weight(8),
    )
    FoldConstants().apply(made)
    np.testing.assert_array_equal(made.weight("right"), weight(8)[4:])
    assert "left" not in made.graph.initializers


def test_nothing_to_fold_is_no_entry() -> None:
    made = program("g (float[N,4] x) => (float[N,4] y) { y = Relu (x) }")
    assert FoldConstants().apply(made) == []
    assert isinstance(made.to_onnx(), onnx.ModelProto)


def test_random_numbers_are_not_folded() -> None:
    made = program(
        """
        g (float[N,4] x) => (float[N,4] y) {
          noise = RandomNormal <shape = [1, 4]> ()
          more = RandomUniformLike (w)
          both = Add (noise, more)
          y = Add (x, both)
        }""",
        w=weight(1, 4),
    )
    assert FoldConstants().apply(made) == []
    assert ops(made) == ["RandomNormal", "RandomUniformLike", "Add", "Add"]


def test_a_node_that_holds_a_graph_is_not_folded() -> None:
    made = program(
        """
        g (float[N,4] x) => (float[N,4] y) {
          y = If (yes) <
            then_branch = a () => (float[N,4] p) { p = Relu (x) },
            else_branch = b () => (float[N,4] q) { q = Identity (x) }
          >
        }""",
        yes=np.array(True),
    )
    assert FoldConstants().apply(made) == []
    assert ops(made) == ["If"]


def test_shapes_that_are_computed_first_are_folded_in_their_turn() -> None:
    made = program(
        """
        g (float[N,4] x) => (float[N,4] y) {
          shape = Shape (w)
          half = Div (shape, two)
          ones = ConstantOfShape <value = float[1] {1}> (half)
          total = Expand (ones, shape)
          y = Add (x, total)
        }""",
        w=weight(8),
        two=np.array([8]),
    )
    assert FoldConstants().apply(made) == ["4 nodes computed 3 constants"]
    np.testing.assert_array_equal(made.weight("total"), np.ones(8, np.float32))


@pytest.mark.parametrize(
    "huge",
    [
        "big = ConstantOfShape (size)",
        "half = Div (size, one) big = ConstantOfShape (half)",
        "big = Expand (w, size)",
        "big = Tile (w, size)",
        "end = ReduceProd <keepdims = 0> (size) big = Range (zero, end, unit)",
        "far = Mul (size, size) small = ConstantOfShape (one) big = Pad (small, far)",
        "a = Unsqueeze (long, one) b = Mul (a, long) big = Mul (a, long)",
        'big = Resize <mode = "nearest"> (w, , , size)',
    ],
)
def test_what_would_be_too_large_is_left(huge: str) -> None:
    """Terabytes, from a few bytes; a declared shape is not believed."""
    made = program(
        f"g (float[N,4] x) => (float[1] big) <float[1] big> {{ {huge} }}",
        w=weight(1, 1),
        size=np.array([2**20, 2**21]),
        one=np.array([1]),
        long=np.arange(2**15),
        zero=np.int64(0),
        unit=np.int64(1),
    )
    before = ops(made)
    FoldConstants().apply(made)
    assert ops(made)[-1] == before[-1]


def test_constants_of_any_size_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a limit, here lowered, weights go to onnxruntime by a file and not by protobuf."""
    files = []
    save = Program.save

    def spy(program: Program, path: Path, *, inline: int) -> Path:
        files.append(save(program, path, inline=inline).with_suffix(".onnx.data").stat().st_size)
        return path

    monkeypatch.setattr(session, "MAPPED", 1000)
    monkeypatch.setattr(Program, "save", spy)
    made = program(
        "g (float[N,50] x) => (float[N,50] y) { v = Mul (w, w)  y = Add (x, v) }", w=weight(50, 50)
    )
    FoldConstants().apply(made)
    assert files == [weight(50, 50).nbytes]
    np.testing.assert_array_equal(made.weight("v"), weight(50, 50) ** 2)


def test_nodes_of_one_name_are_folded() -> None:
    made = program(
        """
        g (float[N,4] x) => (float[N,4] y) {
          [same] a = Relu (w)
          [same] b = Abs (a)
          y = Add (x, b)
        }""",
        w=weight(4),
    )
    assert FoldConstants().apply(made) == ["2 nodes computed 1 constants"]


def test_text_is_left() -> None:
    made = program(
        "g (float[N,4] x) => (float[N,4] y, string[4] t) { t = Cast <to = 8> (w) y = Relu (x) }",
        w=weight(4),
    )
    FoldConstants().apply(made)
    assert ops(made) == ["Cast", "Relu"]
