"""SteerDecisions: the caller's decisions are obeyed, and the network's own are still computed."""

import numpy as np
import pytest

from hydrafy.execute.session import Session
from hydrafy.passes import base, lower
from hydrafy.passes.force import ForceDecisions
from hydrafy.passes.steer import SteerDecisions
from tests.passes.dynamic import IMAGES, layers, nested


@pytest.mark.parametrize("lowered", [False, True])
def test_given_decisions_are_obeyed_and_own_ones_told(lowered: bool) -> None:
    program = base.run(layers(), lower.pipeline()) if lowered else layers()
    rng = np.random.default_rng(0)
    given = {name: rng.random((40, 2)) < 0.5 for name in ("first", "second")}
    own = Session(program).run({"x": IMAGES})
    wanted = Session(base.run(layers(), [ForceDecisions()])).run({"x": IMAGES, **given})
    steered = base.run(program.clone(), [SteerDecisions()])
    found = Session(steered).run({"x": IMAGES, **given})
    np.testing.assert_allclose(found["head.fc"], wanted["head.fc"], atol=1e-4)
    assert np.abs(own["head.fc"] - wanted["head.fc"]).max() > 0.1
    assert (found["first.own"] == own["first"]).all()
    assert (found["second.own"] == own["second"]).all()
    assert steered.manifest.role("first.own") == "decision"


def test_nothing_is_done_where_no_decision_is_an_output() -> None:
    assert SteerDecisions().apply(nested()) == []
