"""Polarity: gates let work run where they hold, exits where they do not, and MACs say which."""

import pytest

from hydrafy.analysis.predication.executed import Work
from hydrafy.analysis.predication.polarity import Polarity
from hydrafy.analysis.predication.predicates import Condition, Predicate

GATE = Predicate("runs", "gates", 1)
EXIT = Predicate("leaves", "sure", 0)


def work(macs: int, *conditions: Condition) -> Work:
    return Work(frozenset(conditions), macs)


def test_gates_run_where_they_hold_and_what_is_behind_exits_where_they_do_not() -> None:
    found = Polarity.of([
        work(100),
        work(7, Condition(GATE)),
        work(5, Condition(GATE), Condition(EXIT, holds=False)),
    ])  # fmt: skip
    assert (found.named, found.read) == (
        {"runs": 12, "leaves": -5},
        {("gates", 1): 12, ("sure", 0): -5},
    )
    for share in (0.0, 0.25, 1.0):
        assert found.of_predicate("runs", share) == found.of_column("gates", 1, share) == share
        assert found.of_predicate("leaves", share) == found.of_column("sure", 0, share) == 1 - share
    assert found.of_predicate("unknown", 0.25) == found.of_column("gates", 0, 0.25) == 0.25


@pytest.mark.parametrize(("here", "behind", "wanted"), [(3, 8, 0.75), (8, 3, 0.25)])
def test_where_both_sides_have_work_the_larger_one_counts(
    here: int, behind: int, wanted: float
) -> None:
    works = [work(here, Condition(EXIT)), work(behind, Condition(EXIT, holds=False))]
    assert Polarity.of(works).of_predicate("leaves", 0.25) == wanted


def test_what_logic_makes_hands_on_what_it_leans_to() -> None:
    less = Predicate("less", "score", op="Less", bound=0.5)
    turned = Predicate("not", op="Not", operands=(EXIT,))
    either = Predicate("either", op="Xor", operands=(Predicate("x", "xs", 0), GATE))
    both = Predicate("both", op="And", operands=(GATE, turned, less, either))
    found = Polarity.of([work(4, Condition(both)), work(1, Condition(GATE, holds=False))])
    assert found.named == {"both": 4, "runs": -1}
    assert found.read == {("gates", 1): 3, ("sure", 0): -4}
