"""Implications: the known ones are found, and what is claimed to be known is never wrong."""

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.analysis.predication.formulas import (
    Compared,
    Flag,
    Formula,
    Formulas,
    always,
    either,
    signed,
)
from hydrafy.analysis.predication.implications import CASES, known
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Manifest
from hydrafy.ir.program import Program
from tests.train.programs import Sketch

A, B = Flag("a"), Flag("b")


def compared(kind: str, bound: float, of: str = "x") -> Formula:
    return Compared(of, kind, bound)


def le(bound: float) -> Formula:
    return compared("LessOrEqual", bound)


@pytest.mark.parametrize(
    ("facts", "formula", "wanted"),
    [
        ([], A, None),
        ([], either([A, signed(A, False)]), True),
        ([(A, True)], A, True),
        ([(A, False)], A, False),
        ([(A, True)], either([A, B]), True),
        ([(either([A, B]), False)], A, False),
        ([(either([A, B]), True)], A, None),
        ([(either([A, B]), True), (A, False)], B, True),
        ([(B, True)], A, None),
        ([(always(True), True)], always(False), False),
        ([(le(1), True)], le(2), True),
        ([(le(2), False)], le(1), False),
        ([(le(1), False)], le(2), None),
        ([(le(1), False)], compared("Greater", 1), None),  # NaN
        ([(le(1), True)], compared("Greater", 1), False),
        ([(le(1), False), (compared("Greater", 0), True)], compared("Greater", 1), True),
        ([(le(1), True), (compared("GreaterOrEqual", 1), True)], compared("Less", 1.5), True),
        ([(le(1), True)], compared("LessOrEqual", 2, of="y"), None),
        ([(A, True), (A, False)], A, True),  # what cannot be
    ],
)
def test_what_facts_say(
    facts: list[tuple[Formula, bool]], formula: Formula, wanted: bool | None
) -> None:
    assert known(formula, facts) is wanted


def test_too_many_cases_are_not_tried() -> None:
    flags = [Flag(i) for i in range(CASES.bit_length())]
    assert known(flags[0], [(either(flags), False)]) is None
    assert known(flags[0], [(either(flags[:3]), False)]) is False


def test_facts_that_have_nothing_to_do_with_it_cost_nothing() -> None:
    facts = [(Flag(i), True) for i in range(100)]
    assert known(le(2), [*facts, (le(1), True)]) is True


class Bools(Sketch):
    """Predicates over scores [N, 3], flags [N, 2] and a scalar budget."""

    def __init__(self) -> None:
        super().__init__(("N", 3))
        self.flags = ir.val("flags", ir.DataType.BOOL, ["N", 2])
        self.graph.inputs.append(self.flags)
        self.budget = self.weight("budget", np.float32(1), overridable=True)
        self.count = 0

    def put(self, kind: str, *inputs: ir.Value, **attributes: object) -> ir.Value:
        self.count += 1
        return self.op(kind, inputs, f"v{self.count}", **attributes)

    def const(self, array: object) -> ir.Value:
        self.count += 1
        return self.weight(f"c{self.count}", np.asarray(array))

    def column(self, matrix: ir.Value, number: int) -> ir.Value:
        return self.put("Gather", matrix, self.const(np.array(number)), axis=1)


KINDS = st.sampled_from(["Less", "LessOrEqual", "Greater", "GreaterOrEqual"])
BOUNDS = st.sampled_from([-1.0, 0.0, 0.5, 1.0])


@st.composite
def predicates(draw: st.DrawFn) -> tuple[Bools, list[ir.Value]]:
    """Some predicates [N] or []: columns, comparisons, and what logic makes of them."""
    s = Bools()
    found = [s.column(s.flags, 0), s.column(s.flags, 1), s.column(s.flags, -1)]
    for _ in range(draw(st.integers(2, 5))):
        kind, column = draw(KINDS), draw(st.integers(0, 1))
        bound = s.const(np.float32(draw(BOUNDS)))
        row = s.const(np.array([[draw(BOUNDS) for _ in range(3)]], np.float32))
        where = draw(
            st.sampled_from(["matrix", "row", "column", "tall", "turned", "budget", "two"])
        )
        if where == "matrix":
            made = s.column(s.put(kind, s.x, bound), column)
        elif where == "row":
            made = s.column(s.put("Not", s.put(kind, row, s.x)), column)
        elif where == "column":
            made = s.put(kind, s.column(s.x, column), bound)
        elif where == "tall":
            tall = s.put("Unsqueeze", s.column(s.x, column), s.const(np.array([1])))
            made = s.put("Squeeze", s.put(kind, tall, s.const(np.float32([[0.5]]))), s.const([1]))
        elif where == "turned":
            made = s.put(kind, bound, s.put("Identity", s.column(s.x, column)))
        elif where == "budget":
            made = s.put(kind, s.budget, bound)
        else:
            pair = s.column(s.x, column), s.budget
            made = s.put(kind, *(pair if draw(st.booleans()) else pair[::-1]))
        found.append(made)
    for _ in range(draw(st.integers(0, 4))):
        operands = [draw(st.sampled_from(found)) for _ in range(2)]
        kind = draw(st.sampled_from(["And", "Or", "Xor", "Not"]))
        found.append(s.put(kind, *operands[: 1 if kind == "Not" else 2]))
    return s, found


@settings(max_examples=150, deadline=None, derandomize=True)
@given(predicates(), st.data())
def test_what_is_known_holds_in_onnxruntime(
    drawn: tuple[Bools, list[ir.Value]], data: st.DataObject
) -> None:
    s, values = drawn
    formulas = Formulas(s.graph)
    asked = data.draw(st.sampled_from(values))
    chosen = data.draw(st.lists(st.tuples(st.sampled_from(values), st.booleans()), max_size=3))
    found = known(formulas.of(asked), [(formulas.of(v), held) for v, held in chosen])
    if found is None:
        return
    s.graph.outputs.extend(dict.fromkeys([asked, *(v for v, _ in chosen)]))
    session = Session(Program(ir.Model(s.graph, ir_version=10), Manifest()), threads=1)
    for fed in _feeds():
        outputs = session.run({k: v for k, v in fed.items() if k in session.inputs})
        rows = {name: np.broadcast_to(array, len(fed["x"])) for name, array in outputs.items()}
        met = np.ones(len(fed["x"]), bool)
        for value, held in chosen:
            met &= rows[value.name] == held
        assert (rows[asked.name][met] == found).all()


def _feeds() -> list[dict[str, np.ndarray]]:
    """All that makes a difference: numbers at and between the bounds, and NaN."""
    rng = np.random.default_rng(0)
    points = np.array([-2, -1, -0.5, 0, 0.25, 0.5, 0.75, 1, 2, np.nan], np.float32)
    return [
        {"x": rng.choice(points, (60, 3)), "flags": rng.random((60, 2)) < 0.5, "budget": budget}
        for budget in points
    ]


def test_structure_counts_and_names_do_not() -> None:
    s = Bools()
    one, two = (
        s.put("Less", s.put("Softmax", s.x, axis=1), s.const(np.float32(b))) for b in (0.5, 0.7)
    )
    f = Formulas(s.graph)
    assert known(f.of(two, 1), [(f.of(one, 1), True)]) is True
    assert known(f.of(two, 1), [(f.of(one, 2), True)]) is None
    assert known(f.of(one, 1), [(f.of(two, 1), True)]) is None


@pytest.mark.parametrize(
    ("kind", "turned"),
    [("Less", "Greater"), ("LessOrEqual", "GreaterOrEqual"), ("Greater", "Less")],
)
def test_the_number_may_stand_on_either_side(kind: str, turned: str) -> None:
    s = Bools()
    score, bound = s.column(s.x, 0), s.const(np.float32(0.5))
    one, two = s.put(kind, score, bound), s.put(turned, bound, score)
    f = Formulas(s.graph)
    assert f.of(one) == f.of(two)


def test_two_computed_numbers_are_compared_with_each_other() -> None:
    s = Bools()
    score = s.column(s.x, 0)
    below, above = s.put("Less", score, s.budget), s.put("Less", s.budget, score)
    f = Formulas(s.graph)
    assert known(f.of(above), [(f.of(below), True)]) is False
    assert known(f.of(above), [(f.of(below), False)]) is None


def test_what_a_gate_decides_is_not_looked_into() -> None:
    s = Bools()
    tau = s.const(np.float32([[0.5]]))
    one, two = (s.op("TopKGate", [s.x, tau], f"gate{k}", k=k) for k in (1, 2))
    again = s.op("TopKGate", [s.x, tau], "again", k=1)
    f = Formulas(s.graph)
    assert known(f.of(two, 0), [(f.of(one, 0), True)]) is None
    assert known(f.of(one, 1), [(f.of(one, 0), True)]) is None
    assert known(f.of(again, 1), [(f.of(one, 1), True)]) is True


def test_constants_hold_or_not() -> None:
    s = Bools()
    row = s.const(np.array([[True, False]]))
    f = Formulas(s.graph)
    assert (known(f.of(row, 0), []), known(f.of(row, 1), [])) == (True, False)
    nan = s.put("Less", s.budget, s.const(np.float32(np.nan)))
    assert known(Formulas(s.graph).of(nan), []) is None
