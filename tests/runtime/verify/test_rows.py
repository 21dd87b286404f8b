"""A file for one image is run on many as a file for many is."""

from collections.abc import Callable

import numpy as np

from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.lower import pipeline
from hydrafy.runtime.verify.rows import Rows


def test_rows_and_their_thresholds_are_taken_apart(source: Callable[..., Program]) -> None:
    gated = base.run(source("resnet8"), [InsertBypass()])
    single = base.run(gated.clone(), pipeline(single=True))
    x = np.random.default_rng(0).standard_normal((4, 3, 16, 16)).astype(np.float32)
    for tau in (np.full((1, 1), 0.5), np.array([[0.0], [0.4], [0.6], [1.0]])):
        feeds = {"input": x, "tau": tau.astype(np.float32)}
        wanted, found = Session(gated).run(feeds), Rows(Session(single)).run(feeds)
        assert list(found) == list(wanted)
        np.testing.assert_allclose(found["logits"], wanted["logits"], rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(found["gates.stage1.open"], wanted["gates.stage1.open"])
