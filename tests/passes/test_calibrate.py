"""New thresholds stand where the old ones stood, and the journal has both."""

from collections.abc import Callable

import numpy as np

from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.calibrate import SetThresholds
from hydrafy.passes.exits import InsertExits


def test_defaults_and_rates_are_new(source: Callable[..., Program]) -> None:
    program = base.run(source("resnet8"), [InsertExits(("stage2", "stage3"))])
    row = np.array([[0.0, 0.25]])
    base.run(program, [SetThresholds({"tau": row}, {"exits.1.predicate": 0.75}, "for a test")])
    tau = program.weight("tau")
    assert tau.dtype == np.float32 and tau.tolist() == row.tolist()
    entry = program.manifest.journal[-1]
    assert (entry.by, entry.notes) == ("calibrate", ("for a test", "tau = 0, 0.25, before 0.9"))
    rates = {rate.predicate: rate.share for rate in program.manifest.rates}
    assert rates == {"exits.0.predicate": 0.5, "exits.1.predicate": 0.75}
    x = np.random.default_rng(0).standard_normal((4, 3, 16, 16)).astype(np.float32)
    found = Session(program).run({"input": x})
    np.testing.assert_array_equal(found["logits"], found["exits.0.logits"])
