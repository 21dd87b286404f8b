"""Predicates: where they are read from, and what lowering writes down of them."""

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.analysis.predication.predicates import (
    CONDITION,
    Condition,
    Predicate,
    note,
    noted,
    predicate,
)
from hydrafy.errors import ModelError
from tests.train.programs import Sketch


def test_a_predicate_is_read_from_the_matrix_whose_column_it_is() -> None:
    s = Sketch()
    matrix = s.op("Greater", [s.linear(s.pooled(s.x, "p"), "fc", 3), s.random("t", 3)], "matrix")
    column = s.op("Gather", [matrix, s.weight("one", np.array(1))], "column", axis=1)
    row = s.op("Gather", [matrix, s.weight("zero", np.array(0))], "row", axis=0)
    assert predicate(column) == Predicate("column", "matrix", 1)
    assert predicate(row) == Predicate("row", "row")
    assert predicate(matrix) == Predicate("matrix", "matrix")
    found = {"matrix": np.array([[True, False, True], [False, True, True]])}
    assert Predicate("column", "matrix", 1).of(found).tolist() == [False, True]


def test_what_logic_makes_is_read_from_what_it_is_made_of() -> None:
    s = Sketch()
    matrix = s.op("Greater", [s.linear(s.pooled(s.x, "p"), "fc", 2), s.random("t", 1)], "matrix")
    one, two = (
        s.op("Gather", [matrix, s.weight(f"i{n}", np.array(n))], f"column{n}", axis=1)
        for n in range(2)
    )
    whole = s.weight("whole", np.array(True), overridable=True)
    either = s.op("Or", [s.op("Xor", [one, two], "odd"), s.op("Not", [whole], "none")], "either")
    found = predicate(s.op("And", [either, one], "both"))
    assert (found.name, found.values) == ("both", ("matrix", "whole"))
    rows = np.array([[True, True], [True, False], [False, True], [False, False]])
    held = [found.of({"matrix": rows, "whole": np.array(w)}).tolist() for w in (True, False)]
    assert held == [[False, True, False, False], [True, True, False, False]]
    node = ir.Node("", "If", [], name="gate.if")
    note(node, Condition(found, False))
    assert noted(node) == Condition(found, False)


@pytest.mark.parametrize("turned", [False, True])
def test_a_comparison_is_read_from_what_is_compared(turned: bool) -> None:
    s = Sketch()
    limit = s.weight("limit", np.float32(0.1))
    budget = s.weight("b", np.float32(1), overridable=True)
    found = predicate(s.op("Less", [limit, budget] if turned else [budget, limit], "low"))
    assert (found.name, found.values) == ("low", ("b",))
    numbers = np.array([0, 0.1, 0.2, np.nan], np.float32)
    held = [bool(found.of({"b": number})) for number in numbers]
    assert held == ([False, False, True, False] if turned else [True, False, False, False])
    assert predicate(s.op("Less", [budget, budget], "never")) == Predicate("never", "never")


def test_a_condition_is_noted_at_a_node() -> None:
    node = ir.Node("", "If", [], name="gate.if")
    assert noted(node) is None
    condition = Condition(Predicate("b.0", "picked", 3), False)
    note(node, condition)
    assert noted(node) == condition
    assert (str(condition), str(condition.negated())) == ("not b.0", "b.0")
    assert condition.negated().negated() == condition


@pytest.mark.parametrize("text", ["", "3", "[]", '{"holds": true}', '{"predicate": {"x": 1}}'])
def test_a_condition_that_makes_no_sense_is_refused(text: str) -> None:
    node = ir.Node("", "If", [], name="gate.if")
    node.metadata_props[CONDITION] = text
    with pytest.raises(ModelError, match=r"'gate\.if'.*lower the network again"):
        noted(node)
