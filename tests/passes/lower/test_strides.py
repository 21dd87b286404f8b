"""A slice in front of a 1x1 convolution becomes its stride, where that is the same."""

import numpy as np
import pytest

from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Manifest
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.lower.strides import StrideConvolutions
from tests.train.programs import Sketch, images

END = 2**63 - 1


def network(*slices: tuple[int, int, int, int], kernel: int = 1, **attributes: object) -> Program:
    s = Sketch(("N", 3, 7, 8))
    y = s.x
    for number, parts in enumerate(slices):
        names = ("starts", "ends", "axes", "steps")
        constants = [
            s.weight(f"{name}{number}", np.array([part]))
            for name, part in zip(names, parts, strict=True)
        ]
        y = s.op("Slice", [y, *constants], f"slice{number}")
    y = s.op("Conv", [y, s.random("w", 4, 3, kernel, kernel)], "conv", **attributes)
    return s.program(y, manifest=Manifest())  # no static program slices its batch


FUSED = [
    ([(0, END, 2, 2), (0, END, 3, 2)], [2, 2]),
    ([(0, END, 3, 3)], [1, 3]),
    ([(0, 7, 2, 2), (0, 8, -1, 3)], [2, 3]),
    ([(0, END, 2, 2), (0, END, 2, 2)], [4, 1]),
]
KEPT = [
    [(1, END, 2, 2)],
    [(0, 5, 2, 2)],
    [(0, 6, 2, 2)],
    [(0, -1, 3, 2)],
    [(0, END, 1, 2)],
    [(0, END, 0, 2)],
    [(6, -END, 2, -2)],
]


@pytest.mark.parametrize(("slices", "strides"), FUSED)
def test_slices_become_strides(slices: list[tuple[int, int, int, int]], strides: list[int]) -> None:
    program = network(*slices)
    wanted = Session(program).run({"x": images(program, 2)})["conv"]
    base.run(program, [StrideConvolutions()])
    assert [n.op_type for n in program.graph] == ["Conv"]
    assert list(program.graph[0].attributes["strides"].as_ints()) == strides
    assert list(program.graph.initializers) == ["w"]
    found = Session(program).run({"x": images(program, 2)})["conv"]
    np.testing.assert_allclose(found, wanted, atol=1e-6, strict=True)


@pytest.mark.parametrize("slices", KEPT)
def test_slices_that_are_no_stride_stay(slices: list[tuple[int, int, int, int]]) -> None:
    if slices[0][2] == 1:
        slices = [(0, END, 1, 1)]  # channels: taking all of them is no stride either
    program = network(*slices)
    wanted = Session(program).run({"x": images(program, 2)})["conv"]
    base.run(program, [StrideConvolutions()])
    assert [n.op_type for n in program.graph] == ["Slice", "Conv"]
    np.testing.assert_array_equal(
        Session(program).run({"x": images(program, 2)})["conv"], wanted, strict=True
    )


@pytest.mark.parametrize(
    ("kernel", "attributes"), [(3, {}), (1, {"strides": [2, 2]}), (1, {"pads": [1, 1, 1, 1]})]
)
def test_other_convolutions_keep_their_slice(kernel: int, attributes: dict[str, object]) -> None:
    program = network((0, END, 2, 2), kernel=kernel, **attributes)
    base.run(program, [StrideConvolutions()])
    assert [n.op_type for n in program.graph] == ["Slice", "Conv"]


def test_a_slice_that_others_read_stays_for_them() -> None:
    program = network((0, END, 2, 2))
    sliced = program.graph[0].outputs[0]
    program.graph.outputs.append(sliced)
    wanted = Session(program).run({"x": images(program, 2)})
    base.run(program, [StrideConvolutions()])
    assert len(program.graph) == 2
    for name, array in Session(program).run({"x": images(program, 2)}).items():
        np.testing.assert_allclose(array, wanted[name], atol=1e-6)
