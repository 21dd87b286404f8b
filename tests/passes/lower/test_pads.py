"""A convolution pads as the Pad did, and lets an empty batch through what comes behind it."""

import numpy as np
import pytest

from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.lower.pads import PadByConvolution
from tests.train.programs import Sketch, images


def network(pads: list[int], *more: np.ndarray, **attributes: object) -> Program:
    """A padded, pooled image that two convolutions read, whose results are added."""
    s = Sketch(("N", 2, 6, 7))
    rest = [s.weight(f"c{i}", array) for i, array in enumerate(more)]
    y = s.op("Pad", [s.x, s.weight("pads", np.array(pads)), *rest], "padded", **attributes)
    y = s.op("MaxPool", [y], "pooled", kernel_shape=[3, 3])
    sides = [s.op("Conv", [y, s.random(f"{n}.w", 16, y.shape[1], 1, 1)], n) for n in "ab"]
    return s.program(s.op("Add", sides, "sum"))


ZERO = np.array(0, np.float32)


@pytest.mark.parametrize(
    "program",
    [
        network([0, 0, 1, 2, 0, 0, 3, 0]),
        network([0, 0, 1, 1, 0, 0, 1, 1], ZERO),
        network([1, 2, 3, 0], ZERO, np.array([2, 3])),
        network([1, 2, 3, 0], ZERO, np.array([-2, -1])),
        network([0, 3, 0, 0, 0, 1, 0, 0]),
        network([0, 0, 1, 1, 0, 2, 1, 1]),
    ],
)
def test_zeros_around_an_image_are_a_convolution(program: Program) -> None:
    x = images(program, 3)
    (wanted,) = Session(program, optimise=False).run({"x": x}).values()
    base.run(program, [PadByConvolution()])
    assert "Pad" not in [node.op_type for node in program.graph]
    session = Session(program)
    np.testing.assert_allclose(session.run({"x": x})["sum"], wanted, rtol=1e-5, atol=1e-5)
    assert session.run({"x": x[:0]})["sum"].shape == (0, *wanted.shape[1:])


@pytest.mark.parametrize(
    "program",
    [
        network([0, 0, 1, 1, 0, 0, 1, 1], np.array(1, np.float32)),
        network([0, 0, 1, 1, 0, 0, -1, 1]),
        network([0, 0, 1, 1, 0, 0, 1, 1], mode="reflect"),
    ],
    ids=["ones", "cropped", "reflected"],
)
def test_other_pads_stay(program: Program) -> None:
    base.run(program, [PadByConvolution()])
    assert program.graph[0].op_type == "Pad"
