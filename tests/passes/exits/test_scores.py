"""Scores of answers stay within their bounds, however they are rounded."""

import numpy as np
import pytest

from hydrafy.execute.session import Session
from hydrafy.ir import build
from hydrafy.passes.exits.scores import SCORES, Score
from hydrafy.passes.fresh import Place
from tests.train.programs import Sketch


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("classes", [3, 10, 100])
def test_a_threshold_of_zero_lets_everybody_leave(score: Score, classes: int) -> None:
    """Also whom all classes are alike for, or nearly so."""
    s = Sketch(("N", classes))
    end = build.op("Identity", [s.x], "end")
    s.graph.append(end)
    place = Place(s.graph, end, "exits.0", np.random.default_rng(0))
    program = s.program(SCORES[score](place, s.x))
    noise = np.random.default_rng(1).standard_normal((200, classes))
    logits = np.linspace(0, 1e-3, 200)[:, None] * noise
    (found,) = Session(program, threads=1).run({"x": logits.astype(np.float32)}).values()
    assert found.shape == (200, 1) and (found >= 0).all() and (found <= 1).all()
