"""Nodes that only reshape become one plain node or none."""

import numpy as np
import pytest

from hydrafy.passes.normalise.batch import FreeBatch
from hydrafy.passes.normalise.reshapes import MergeReshapes
from hydrafy.passes.normalise.shapes import InferShapes
from tests.passes.sources import compute, ops, program, weight

CASES = {
    "squeeze": (
        "p = GlobalAveragePool (x) y = Squeeze (p, tail)",
        ["GlobalAveragePool", "Flatten"],
    ),
    "chain": (
        "p = GlobalAveragePool (x) a = Squeeze (p, tail) b = Unsqueeze (a, tail)"
        " c = Transpose <perm = [0, 2, 3, 1]> (b) y = Reshape (c, flat)",
        ["GlobalAveragePool", "Flatten"],
    ),
    "there and back": (
        "p = GlobalAveragePool (x) a = Flatten (p) b = Reshape (a, square) y = Relu (b)",
        ["GlobalAveragePool", "Relu"],
    ),
    "image": ("a = Flatten (x) b = Reshape (a, image) y = Relu (b)", ["Reshape", "Relu"]),
    "flat already": ("y = Flatten (x)", ["Flatten"]),
    "two readers": (
        "a = Reshape (x, image) b = Flatten (a) c = Flatten (a) y = Add (b, c)",
        ["Flatten", "Flatten", "Add"],
    ),
    "order": (
        "a = Transpose <perm = [0, 2, 3, 1]> (x) y = Flatten (a)",
        ["Transpose", "Flatten"],
    ),
    "rows": ("a = Reshape (x, rows) y = Relu (a)", ["Reshape", "Relu"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_chains(case: str) -> None:
    body, wanted = CASES[case]
    made = program(
        f"g (float[N,4,2,3] x) => (float y) {{ {body} }}",
        tail=np.array([2, 3]),
        flat=np.array([-1, 4]),
        square=np.array([0, 4, 1, 1]),
        image=np.array([0, 2, 3, 4]),
        rows=np.array([-1, 6]),
    )
    made.graph.outputs[0].shape = None
    InferShapes().apply(made)
    FreeBatch().apply(made)
    x = weight(5, 4, 2, 3)
    before = compute(made.clone(), {"x": x})
    notes = MergeReshapes().apply(made)
    assert ops(made) == wanted
    assert bool(notes) == (case not in ("flat already", "order", "rows"))
    np.testing.assert_array_equal(compute(made, {"x": x})[0], before[0], strict=True)
    assert made.graph.outputs[0].name == "y"


@pytest.mark.parametrize("between", ["", "Relu"])
@pytest.mark.parametrize("batch", ["N", "2", "?"])
@pytest.mark.parametrize(("first", "second"), [(2, 4), (12, 24), (48, 24)])
def test_dimensions_without_a_name_are_not_taken_for_equal(
    first: int, second: int, batch: str, between: str
) -> None:
    made = program(
        f"""
        g (float[{batch},4,2,3] x) => (float y) {{
          a = Reshape (x, first)
          b = {between or "Identity"} (a)
          y = Reshape (b, second)
        }}""",
        first=np.array([-1, first]),
        second=np.array([-1, second]),
    )
    made.graph.outputs[0].shape = None
    InferShapes().apply(made)
    FreeBatch().apply(made)
    x = weight(2, 4, 2, 3)
    wanted = compute(made.clone(), {"x": x})[0]
    MergeReshapes().apply(made)
    np.testing.assert_array_equal(compute(made, {"x": x})[0], wanted, strict=True)


def test_an_output_gives_its_name_to_what_it_equals() -> None:
    made = program(
        """
        g (float[N,4] x) => (float[N,4] y, float[N,4] z, float[N,4] same) {
          a = Relu (x)
          y = Flatten (a)
          b = Sigmoid (a)
          z = Identity (b)
          same = Identity (z)
        }"""
    )
    InferShapes().apply(made)
    x = weight(2, 4)
    before = compute(made.clone(), {"x": x})
    assert MergeReshapes().apply(made) == ["2 nodes that only reshape went"]
    assert ops(made) == ["Relu", "Sigmoid", "Identity"]
    assert [v.name for v in made.graph.outputs] == ["y", "z", "same"]
    for found, wanted in zip(compute(made, {"x": x}), before, strict=True):
        np.testing.assert_array_equal(found, wanted)
