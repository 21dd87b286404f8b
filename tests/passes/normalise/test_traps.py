"""What ONNX's inference would abort, hang or grow over is refused before it runs."""

import numpy as np
import pytest

from hydrafy.errors import ModelError
from hydrafy.passes.base import run
from hydrafy.passes.normalise.constants import FoldConstants
from hydrafy.passes.normalise.traps import RefuseTraps
from tests.passes.sources import ops, program, weight

LISTS = {
    "start": np.array([-1]),
    "end": np.array([-(2**63)]),
    "axis": np.array([0]),
    "back": np.array([-1]),
}


def test_flipped_images_are_refused() -> None:
    made = program(
        "g (float[N,4] x) => (float[A,B] y) { [flip] y = Slice (x, start, end, axis, back) }",
        **LISTS,
    )
    with pytest.raises(
        ModelError, match=r"node 'flip' \(Slice\) reads backwards, with steps \[-1\]"
    ):
        run(made, [FoldConstants(), RefuseTraps()])


def test_flipped_constants_are_computed() -> None:
    """PyTorch's TorchScript exporter writes the sizes of a Pad so."""
    made = program(
        """
        g (float[N,4] x) => (float[N,4] y) {
          flipped = Slice (w, start, end, axis, back)
          y = Add (x, flipped)
        }""",
        w=weight(4),
        **LISTS,
    )
    run(made, [FoldConstants(), RefuseTraps()])
    assert ops(made) == ["Add"]
    assert made.weight("flipped").tolist() == weight(4)[::-1].tolist()


def test_an_empty_constant_that_is_flipped_does_not_end_the_process() -> None:
    made = program(
        """
        g (float[N,4] x) => (float[N,4] y, float[A] flipped) {
          flipped = Slice (none, start, end, axis, back)
          y = Relu (x)
        }""",
        none=np.zeros(0, np.float32),
        **LISTS,
    )
    with pytest.raises(ModelError, match=r"node 'flipped' .* from constants what"):
        run(made, [FoldConstants(), RefuseTraps()])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "s = Reshape (zero, long) y = Slice (x, s, one)",
            "node 's' .* from constants what is too",
        ),
        ("s = Reshape (x, long) y = Identity (s)", r"node 's' .* of the shape \[4294967296\]"),
        ("s = Expand (x, wide) y = Identity (s)", r"of the shape \[1048576, 1048576\]"),
        ("s = Tile (x, wide) y = Identity (s)", "which is too large"),
        ("y = RandomNormal <shape = [1048576, 1048576]> ()", "node 'y' .* which is too large"),
    ],
)
def test_lists_that_would_never_end_are_refused(body: str, message: str) -> None:
    made = program(
        f"g (float[N,4] x) => (float[A,B] y) {{ {body} }}",
        zero=np.array(0),
        one=np.array([1]),
        long=np.array([2**32]),
        wide=np.array([2**20, 2**20]),
    )
    with pytest.raises(ModelError, match=message):
        run(made, [FoldConstants(), RefuseTraps()])


def test_shapes_of_a_network_are_no_traps() -> None:
    made = program(
        """
        g (float[N,4,8,8] x) => (float[A,B] y) {
          a = Expand (x, like)
          b = Reshape (a, rows)
          y = Slice (b, one, end)
        }""",
        like=np.array([1, 4, 8, 8]),
        rows=np.array([0, -1]),
        one=np.array([1]),
        end=np.array([2**63 - 1]),
    )
    assert RefuseTraps().apply(made) == []
