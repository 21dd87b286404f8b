"""A Pad becomes the pads of what reads it exactly where that computes the same."""

import numpy as np
import pytest

from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes.normalise.pads import FoldPads
from hydrafy.passes.normalise.shapes import InferShapes
from tests.passes.sources import compute, ops, program, weight

READERS = {
    "Conv": "y = Conv <strides = [2, 2], pads = [0, 1, 1, 0]> (b, w)",
    "AveragePool": "y = AveragePool <kernel_shape = [3, 3], strides = [2, 2]> (b)",
    "counting": "y = AveragePool <kernel_shape = [3, 3], pads = [1, 0, 0, 1],"
    " count_include_pad = 1> (b)",
    "MaxPool": "y = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (b)",
}


def padded(reader: str, pad: str = "b = Pad (a, ends)", ends: object = None) -> Program:
    found = [0, 0, 1, 0, 0, 0, 2, 1] if ends is None else ends
    made = program(
        f"g (float[N,2,9,9] x) => (float[N,C,A,B] y) {{ a = Relu (x) {pad} {reader} }}",
        w=weight(3, 2, 3, 3),
        ends=np.array(found),
        zero=np.float32(0),
        one=np.float32(1),
        axes=np.array([-1, 2]),
    )
    InferShapes().apply(made)
    return made


def reference(made: Program, x: np.ndarray) -> np.ndarray:
    """What onnxruntime computes when it folds nothing."""
    (found,) = Session(made, threads=1, optimise=False).run({"x": x}).values()
    return found


@pytest.mark.parametrize("pad", ["b = Pad (a, ends)", "b = Pad (a, ends, zero)"])
@pytest.mark.parametrize("reader", READERS)
def test_zeros_become_pads(reader: str, pad: str) -> None:
    made = padded(READERS[reader], pad)
    x = weight(2, 2, 9, 9, seed=1)
    wanted = reference(made, x)
    (note,) = FoldPads().apply(made)
    assert note.endswith("pads by [1, 0, 2, 1] itself")
    assert ops(made) == ["Relu", READERS[reader].split()[2]]
    np.testing.assert_allclose(compute(made, {"x": x})[0], wanted, atol=1e-5, strict=True)


def test_axes_of_a_pad_may_be_named_in_any_order() -> None:
    made = padded(READERS["Conv"], "b = Pad (a, ends, , axes)", [1, 2, 0, 3])
    x = weight(2, 2, 9, 9, seed=1)
    wanted = reference(made, x)
    (note,) = FoldPads().apply(made)
    assert "pads by [2, 1, 3, 0] itself" in note
    np.testing.assert_allclose(compute(made, {"x": x})[0], wanted, atol=1e-5, strict=True)


def test_a_maxpool_over_negative_values_keeps_its_zeros() -> None:
    """Also in onnxruntime, which drops zeros that a Pad without axes puts there."""
    made = padded(READERS["MaxPool"].replace("(b)", "(d)"), "n = Neg (a) d = Pad (n, ends)")
    x = weight(2, 2, 9, 9, seed=1)
    wanted = reference(made, x)
    (note,) = FoldPads().apply(made)
    assert "stays: zeros around values that may be negative" in note
    assert ops(made) == ["Relu", "Neg", "Pad", "MaxPool"]
    np.testing.assert_array_equal(compute(made, {"x": x})[0], wanted)


STAY = {
    "ones": (READERS["Conv"], "b = Pad (a, ends, one)", None),
    "edge": (READERS["Conv"], 'b = Pad <mode = "edge"> (a, ends)', None),
    "channels": ("y = MaxPool <kernel_shape = [1, 1]> (b)", "", [0, 1, 0, 0, 0, 0, 0, 0]),
    "crop": (READERS["Conv"], "", [0, 0, -1, 0, 0, 0, 0, 0]),
    "automatic": ('y = Conv <auto_pad = "SAME_UPPER"> (b, w)', "", None),
    "uncounted": (
        "y = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (b)",
        "",
        None,
    ),
    "ceil": (READERS["AveragePool"].replace("<", "<ceil_mode = 1, "), "", None),
    "mean of padding": ("y = AveragePool <kernel_shape = [2, 2]> (b)", "", None),
    "more padding": (
        "y = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 1> (b)",
        "",
        None,
    ),
    "all padding": ("y = MaxPool <kernel_shape = [2, 2]> (b)", "", None),
    "dilated": ("y = MaxPool <kernel_shape = [3, 3], dilations = [2, 2]> (b)", "", None),
    "own": ("y = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (b)", "", None),
}


@pytest.mark.parametrize("case", STAY)
def test_what_would_compute_something_else_stays(case: str) -> None:
    reader, pad, ends = STAY[case]
    made = padded(reader, pad or "b = Pad (a, ends)", ends)
    x = weight(2, 2, 9, 9, seed=1)
    wanted = reference(made, x)
    FoldPads().apply(made)
    assert "Pad" in ops(made)
    np.testing.assert_allclose(compute(made, {"x": x})[0], wanted, atol=1e-5, strict=True)


def test_a_pad_with_other_readers_stays_for_them() -> None:
    made = program(
        """
        g (float[N,2,9,9] x) => (float[N,3,9,9] y, float[N,2,11,11] b) {
          b = Pad (x, ends)
          y = Conv (b, w)
        }""",
        w=weight(3, 2, 3, 3),
        ends=np.array([0, 0, 1, 1, 0, 0, 1, 1]),
    )
    InferShapes().apply(made)
    FoldPads().apply(made)
    assert ops(made) == ["Pad", "Conv"]
    assert made.graph[1].inputs[0] is made.data_inputs[0]
