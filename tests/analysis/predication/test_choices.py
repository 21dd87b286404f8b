"""What a tree of Ifs says of its branches, and what is made of it."""

import onnx_ir as ir
import pytest

from hydrafy.analysis.predication.choices import (
    CHOICE,
    Choice,
    Option,
    leaves,
    note_choice,
    noted_choice,
)
from hydrafy.analysis.predication.need import stated
from hydrafy.analysis.predication.predicates import Condition, Predicate
from hydrafy.errors import ModelError


def option(name: str, share: float | None = None) -> Option:
    return Option(Predicate(name, "picked", 0), share)


def test_what_is_noted_is_read_again() -> None:
    node = ir.Node("", "If", [])
    assert noted_choice(node) is None and not list(leaves(node))
    choice = Choice((option("a", 0.25),), (option("b"), option("c", 1.0)))
    note_choice(node, choice)
    assert noted_choice(node) == choice


def test_a_branch_of_one_runs_for_its_predicate() -> None:
    choice = Choice((option("a"),), (option("b"), option("c")))
    assert choice.conditions("then_branch") == {Condition(option("a").predicate)}
    assert choice.conditions("else_branch") == frozenset()


def test_shares_are_those_of_the_images_that_get_there() -> None:
    choice = Choice((option("a", 0.1),), (option("b", 0.1), option("c", 0.2)))
    assert choice.shares({}) == pytest.approx({"a": 0.25, "b": 0.25, "c": 0.5})
    assert choice.rate({}) == pytest.approx(0.25)
    assert choice.rate({"a": 0.3}) == pytest.approx(0.5)
    assert choice.rate(dict.fromkeys("abc", 0.0)) == pytest.approx(1 / 3)
    assert Choice((option("a"),), (option("b", 0.9),)).rate({}) == 0.5
    node = ir.Node("", "If", [])
    note_choice(node, choice)
    assert stated(node) == pytest.approx(0.25)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"then_branch": [{"share": 2}], "else_branch": []}', "1"]
)
def test_what_somebody_else_wrote_is_refused(text: str) -> None:
    node = ir.Node("", "If", [], name="mine")
    node.metadata_props[CHOICE] = text
    with pytest.raises(ModelError, match="'mine' has the choice"):
        noted_choice(node)
