"""Merging changes where things are computed, never what: and only where nothing else looks."""

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.execute.session import Session
from hydrafy.ir import ops
from hydrafy.ir.manifest import Manifest, Output
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.lower.merge import Merge
from tests.train.programs import Sketch

Draw = Callable[[Sketch, ir.Value, Callable[..., ir.Value]], list[ir.Value]]


def network(draw: Draw) -> Program:
    """What `draw` makes of x, which is never negative, by `select(column, a, b)`."""
    s = Sketch(("N", 4, 6, 6))
    gate = s.op("Sigmoid", [s.linear(s.pooled(s.x, "g"), "gate", 2)], "scores")
    flags = s.op("ThresholdGate", [gate, s.weight("t", np.array([[0.5]], np.float32))], "flags")
    preds = [
        s.op("Gather", [flags, s.weight(f"i{b}", np.array(b))], f"pred{b}", axis=1)
        for b in range(2)
    ]
    zero = s.weight("zero", np.array(0, np.float32))
    count = 0

    def select(column: int, a: ir.Value, b: ir.Value | None = None) -> ir.Value:
        nonlocal count
        count += 1
        return s.op("Select", [preds[column], a, zero if b is None else b], f"select{count}")

    outputs = draw(s, s.op("Relu", [s.x], "x0"), select)
    roles = tuple(Output(v.name or "", "prediction") for v in outputs)
    return s.program(*outputs, manifest=Manifest(stage="dynamic", outputs=roles))


def merged(draw: Draw) -> tuple[str, int]:
    """The ops in order, `S` for a Select, and how many notes; what is computed stays."""
    program = network(draw)
    x = np.random.default_rng(0).standard_normal((9, 4, 6, 6)).astype(np.float32)
    wanted = Session(program).run({"x": x})
    base.run(program, [Merge()])
    found = Session(program).run({"x": x})
    assert list(found) == list(wanted)
    for name, array in found.items():
        np.testing.assert_allclose(array, wanted[name], rtol=1e-5, atol=1e-6)
    flags = next(i for i, node in enumerate(program.graph) if node.name == "x0")
    kinds = [
        "S" if ops.is_select(n) else n.op_type
        for n in list(program.graph)[flags + 1 :]
        if n.op_type not in ("Gather",)
    ]
    notes = program.manifest.journal[-1].notes if program.manifest.journal else ()
    return " ".join(kinds), len(notes)


def residual(s: Sketch, x: ir.Value, select: Callable[..., ir.Value]) -> list[ir.Value]:
    return [s.op("Relu", [s.op("Add", [x, select(0, s.conv(x, "f", 4, 3))], "add")], "y")]


def test_a_block_takes_in_its_sum_and_its_relu() -> None:
    assert merged(residual) == ("Conv Add Relu S", 2)


def test_a_relu_acts_on_both_sides_of_what_may_be_negative() -> None:
    def draw(s: Sketch, x: ir.Value, select: Callable[..., ir.Value]) -> list[ir.Value]:
        below = s.conv(x, "below", 4, 1)
        return [s.op("Relu", [s.op("Add", [below, select(0, s.conv(x, "f", 4, 3))], "add")], "y")]

    assert merged(draw) == ("Conv Conv Add Relu Relu S", 2)


def test_a_sum_that_somebody_else_looks_into_stays() -> None:
    def draw(s: Sketch, x: ir.Value, select: Callable[..., ir.Value]) -> list[ir.Value]:
        chosen = select(0, s.conv(x, "f", 4, 3))
        return [s.op("Add", [x, chosen], "y"), s.op("Tanh", [chosen], "z")]

    assert merged(draw) == ("Conv S Add Tanh", 0)


def test_a_side_that_is_not_nothing_is_not_added_to() -> None:
    def draw(s: Sketch, x: ir.Value, select: Callable[..., ir.Value]) -> list[ir.Value]:
        return [s.op("Add", [x, select(0, s.conv(x, "f", 4, 3), x)], "y")]

    assert merged(draw) == ("Conv S Add", 0)


def test_a_sum_of_another_shape_stays() -> None:
    def draw(s: Sketch, x: ir.Value, select: Callable[..., ir.Value]) -> list[ir.Value]:
        narrow = s.conv(x, "narrow", 1, 1)
        return [s.op("Add", [x, select(0, narrow)], "y")]

    assert merged(draw) == ("Conv S Add", 0)


def chain(columns: list[int], *, told: bool = False) -> Draw:
    def draw(s: Sketch, x: ir.Value, select: Callable[..., ir.Value]) -> list[ir.Value]:
        outputs = []
        for number, column in enumerate(columns):
            f = select(column, s.conv(x, f"f{number}", 4, 3))
            x = s.op("Relu", [s.op("Add", [x, f], f"add{number}")], f"y{number}")
            outputs.append(x)
        return outputs if told else outputs[-1:]

    return draw


@pytest.mark.parametrize("blocks", [2, 3])
def test_blocks_of_one_predicate_become_one(blocks: int) -> None:
    kinds, _ = merged(chain([0] * blocks))
    assert kinds == " ".join(["Conv Add Relu"] * blocks) + " S"


def test_blocks_of_different_predicates_stay_apart() -> None:
    assert merged(chain([0, 1]))[0] == "Conv Add Relu S Conv Add Relu S"


def test_a_block_whose_result_is_wanted_stays_apart() -> None:
    assert merged(chain([0, 0], told=True))[0] == "Conv Add Relu S Conv Add Relu S"
