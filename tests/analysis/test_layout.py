"""The layout of the input is told from what is done with it, before and after reading."""

import numpy as np
import pytest

from hydrafy.analysis.layout import layout
from tests.passes.sources import program, weight

BODIES = [
    ("y = Conv (x, w)", "NCHW"),
    ("a = Transpose <perm = [0, 3, 1, 2]> (x) y = Conv (a, w)", "NHWC"),
    ("a = Mul (x, s) b = Pad (a, p) y = Transpose <perm = [0, 3, 1, 2]> (b)", "NHWC"),
    ("a = Conv (x, w) b = Transpose <perm = [0, 3, 1, 2]> (a) y = Relu (b)", "NCHW"),
    ("a = Transpose <perm = [0, 2, 3, 1]> (x) b = Relu (a) y = Relu (b)", "NCHW"),
    ("a = Relu (x) b = Add (a, x) y = Relu (b)", "NCHW"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "wanted"), BODIES)
def test_layout(body: str, wanted: str) -> None:
    made = program(
        f"g (float[N,4,4,4] x) => (float[N,A,B,C] y) {{ {body} }}",
        w=weight(2, 4, 1, 1),
        s=np.float32(2),
        p=np.zeros(8, np.int64),
    )
    assert layout(made) == wanted
