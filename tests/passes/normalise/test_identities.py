"""What computes nothing goes, and only that."""

import numpy as np
import pytest

from hydrafy.passes.normalise.constants import FoldConstants
from hydrafy.passes.normalise.identities import RemoveIdentities
from hydrafy.passes.normalise.shapes import InferShapes
from tests.passes.sources import compute, ops, program, weight


def test_identities_and_dropouts_give_way() -> None:
    made = program(
        """
        g (float[N,4] x) => (float[N,4] y) {
          a = Identity (x)
          b = Relu (a)
          c, mask = Dropout (b, ratio)
          d = Identity (c)
          unused = Sigmoid (d)
          e = Identity (w)
          y = Add (d, e)
        }""",
        ratio=np.float32(0.5),
        w=weight(4),
        stray=weight(4),
    )
    x = weight(3, 4, seed=1)
    wanted = compute(made.clone(), {"x": x})
    assert RemoveIdentities().apply(made) == ["5 nodes that compute nothing went"]
    assert ops(made) == ["Relu", "Add"]
    assert set(made.graph.initializers) == {"w"}
    np.testing.assert_array_equal(compute(made, {"x": x})[0], wanted[0])


def test_an_output_keeps_its_name_and_a_used_mask_its_dropout() -> None:
    made = program(
        """
        g (float[N,4] x) => (float[N,4] y, bool[N,4] mask) {
          a = Relu (x)
          b, mask = Dropout (a)
          y = Identity (b)
        }"""
    )
    assert RemoveIdentities().apply(made) == ["1 nodes that compute nothing went"]
    assert ops(made) == ["Relu", "Dropout"]
    assert [v.name for v in made.graph.outputs] == ["y", "mask"]


NEUTRAL = [
    ("Mul (x, one)", True),
    ("Mul (one, x)", True),
    ("Div (x, one)", True),
    ("Add (x, zero)", True),
    ("Sub (x, zero)", True),
    ("Pad (x, nothing)", True),
    ("Cast <to = 1> (x)", True),
    ("Div (one, x)", False),
    ("Sub (zero, x)", False),
    ("Mul (x, zero)", False),
    ("Add (x, deep)", False),
]


@pytest.mark.parametrize(("node", "gone"), NEUTRAL)
def test_neutral_operands(node: str, gone: bool) -> None:
    made = program(
        f"g (float[N,4] v) => (float y) {{ x = Relu (v)  b = {node}  y = Abs (b) }}",
        one=np.float32(1),
        zero=np.zeros(1, np.float32),
        nothing=np.zeros(4, np.int64),
        deep=np.zeros((1, 1, 1), np.float32),
    )
    made.graph.outputs[0].shape = None
    InferShapes().apply(made)
    RemoveIdentities().apply(made)
    assert (len(made.graph) == 2) == gone


SLICES = [
    ("0", f"{2**63 - 1}", "0", "1", True),
    ("0", f"{2**31 - 1}", "0", "1", True),
    ("0", "6", "2", "1", True),
    ("0", "100", "-1", "1", True),
    ("0", "5", "2", "1", False),
    ("1", "6", "2", "1", False),
    ("0", "6", "2", "2", False),
    ("0", "6", "0", "1", False),  # the batch may be longer than 6
    ("0", "-1", "2", "1", False),
]


@pytest.mark.parametrize(("start", "end", "axis", "step", "gone"), SLICES)
def test_a_slice_that_takes_everything_goes(
    start: str, end: str, axis: str, step: str, gone: bool
) -> None:
    made = program(
        f"""
        g (float[N,4,6,6] x) => (float[A,B,C,D] y) {{
          start = Constant <value = int64[1] {{{start}}}> ()
          end = Constant <value = int64[1] {{{end}}}> ()
          axis = Constant <value = int64[1] {{{axis}}}> ()
          step = Constant <value = int64[1] {{{step}}}> ()
          a = Slice (x, start, end, axis, step)
          y = Relu (a)
        }}"""
    )
    FoldConstants().apply(made)
    x = weight(8, 4, 6, 6)
    wanted = compute(made.clone(), {"x": x})
    RemoveIdentities().apply(made)
    assert ops(made) == (["Relu"] if gone else ["Slice", "Relu"])
    np.testing.assert_array_equal(compute(made, {"x": x})[0], wanted[0], strict=True)


def test_a_bias_of_zeros_goes_where_a_batchnorm_follows() -> None:
    made = program(
        """
        g (float[N,2,4,4] x) => (float[N,2,4,4] y) {
          a = Conv (x, w, zeros)
          b = BatchNormalization (a, v, v, v, v)
          c = Conv (b, w, v)
          d = BatchNormalization (c, v, v, v, v)
          y = Conv (d, w, zeros)
        }""",
        w=weight(2, 2, 1, 1),
        zeros=np.zeros(2, np.float32),
        v=abs(weight(2)),
    )
    assert RemoveIdentities().apply(made) == ["1 biases of zeros went"]
    assert [len(n.inputs) for n in made.graph if n.op_type == "Conv"] == [2, 3, 3]


@pytest.mark.parametrize(
    ("start", "axis"), [([[0, 0]], [1, 2]), ([0, 0], [1]), ([0], [7]), (0, 1), ([0], [-9])]
)
def test_a_slice_whose_numbers_do_not_fit_is_left(start: object, axis: object) -> None:
    made = program(
        """
        g (float[N,4,6,6] x) => (float[A,B,C,D] y) {
          a = Slice (x, start, end, axis)
          y = Relu (a)
        }""",
        start=np.array(start),
        end=np.full_like(start, 100),
        axis=np.array(axis),
    )
    RemoveIdentities().apply(made)
    assert ops(made) == ["Slice", "Relu"]
