"""A Slice that reads backwards is refused unless constants are all that it reads."""

import numpy as np
import pytest

from hydrafy.errors import ModelError
from hydrafy.passes.base import run
from hydrafy.passes.normalise.constants import FoldConstants
from hydrafy.passes.normalise.flips import RefuseFlips
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
        run(made, [FoldConstants(), RefuseFlips()])


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
    run(made, [FoldConstants(), RefuseFlips()])
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
    with pytest.raises(ModelError, match="reads backwards"):
        run(made, [FoldConstants(), RefuseFlips()])
