"""Rates tell lowering how many leave of the images that get to an exit."""

from collections.abc import Callable

import numpy as np
import pytest

from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.exits import InsertExits
from hydrafy.passes.exits.classifiers import LINEAR
from hydrafy.passes.exits.decisions import CONFIDENT, Decision, Learned
from hydrafy.runtime.calibrate.budget import Budget
from hydrafy.runtime.calibrate.looked import Looks
from hydrafy.runtime.calibrate.points import Points
from hydrafy.runtime.calibrate.rules import Choice
from hydrafy.runtime.calibrate.settled import slots
from hydrafy.runtime.calibrate.table import Outcome


@pytest.mark.parametrize(
    ("decision", "shares", "rates"),
    [
        (CONFIDENT, (0.25, 0.5, 0.25), [0.25, 2 / 3]),
        (Learned(), (0.25, 0.5, 0.25), [0.75, 1 / 3]),
        (CONFIDENT, (1.0, 0.0, 0.0), [1.0]),
    ],
)
def test_rates_are_of_who_gets_there(
    source: Callable[..., Program],
    decision: Decision,
    shares: tuple[float, ...],
    rates: list[float],
) -> None:
    exits = InsertExits(("stage2", "stage3"), LINEAR, decision)
    program = base.run(source("resnet8"), [exits])
    points = Points(program, slots(program), Looks((), 1.0), Budget(0.5))
    found = points.rates(Choice(0, np.zeros(2), Outcome(0, 0, 4, shares)))
    names = [f"exits.{number}.predicate" for number in range(len(rates))]
    assert found == dict(zip(names, map(pytest.approx, rates), strict=True))
