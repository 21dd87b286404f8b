"""Predicates: where they are read from, and what lowering writes down of them."""

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.analysis.predicates import CONDITION, Condition, Predicate, note, noted, predicate
from hydrafy.errors import ModelError
from tests.train.programs import Sketch


def test_a_predicate_is_read_from_the_matrix_whose_column_it_is() -> None:
    s = Sketch()
    matrix = s.op("Greater", [s.linear(s.pooled(s.x, "p"), "fc", 3), s.random("t", 1)], "matrix")
    column = s.op("Gather", [matrix, s.weight("one", np.array(1))], "column", axis=1)
    row = s.op("Gather", [matrix, s.weight("zero", np.array(0))], "row", axis=0)
    assert predicate(column) == Predicate("column", "matrix", 1)
    assert predicate(row) == Predicate("row", "row")
    assert predicate(matrix) == Predicate("matrix", "matrix")
    found = {"matrix": np.array([[True, False, True], [False, True, True]])}
    assert Predicate("column", "matrix", 1).of(found).tolist() == [False, True]


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
