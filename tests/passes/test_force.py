"""Forced decisions rule what runs; what made the network's own goes."""

import numpy as np

from hydrafy.execute.session import Session
from hydrafy.passes import base
from hydrafy.passes.force import ForceDecisions
from tests.train.programs import dynamic, images


def test_decisions_come_from_the_caller() -> None:
    program = dynamic(k=2)
    x = images(program, 4)
    own = Session(program).run({"x": x})
    forced = base.run(program.clone(), [ForceDecisions()])
    session = Session(forced)
    assert session.inputs == {"x": ["N", 3, 8, 8], "picked": ["N", 3]}
    assert "tau" not in forced.graph.initializers  # nothing reads it any more
    assert forced.manifest.runtime_inputs == ()
    assert "picked" not in session.outputs
    assert all(o.role != "decision" for o in forced.manifest.outputs)
    found = session.run({"x": x, "picked": own["picked"]})
    np.testing.assert_allclose(found["head.fc"], own["head.fc"], atol=1e-6)
    other = session.run({"x": x, "picked": ~own["picked"]})
    assert np.abs(other["head.fc"] - own["head.fc"]).max() > 1e-3
    np.testing.assert_allclose(other["gate.fc"], own["gate.fc"], atol=1e-6)  # its scores remain


def test_the_program_itself_is_changed_in_place_only() -> None:
    program = dynamic()
    base.run(program.clone(), [ForceDecisions()])
    assert [v.name for v in program.graph.inputs] == ["x", "tau"]
    assert "picked" in [v.name for v in program.graph.outputs]
