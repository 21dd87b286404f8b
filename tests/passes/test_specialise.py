"""Specialise leaves the static network of one decision: it computes what that decision does."""

from collections.abc import Callable

import numpy as np
import pytest

from hydrafy.errors import ModelError
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes import base
from hydrafy.passes.force import ForceDecisions
from hydrafy.passes.lower.inference import DropTraining
from hydrafy.passes.specialise import Specialise
from hydrafy.runtime.convert import convert


@pytest.fixture(scope="module")
def program(source: Callable[..., Program]) -> Program:
    return convert(source("resnet8"), "dynk", branches=4, k=2, split="stage2", branch_width=0.5)


@pytest.mark.parametrize("row", [[1, 0, 0, 1], [1, 1, 1, 1], [0, 0, 1, 0]])
def test_a_specialised_network_computes_what_the_decision_does(
    program: Program, row: list[int]
) -> None:
    name = program.data_inputs[0].name
    shape = (3, *dims(program.data_inputs[0]))
    images = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    decision = np.array(row, bool)
    bare = base.run(program.clone(), [DropTraining()])
    forced = base.run(bare.clone(), [ForceDecisions()])
    special = base.run(bare.clone(), [Specialise({"picked": decision})])
    wanted = Session(forced).run({name: images, "picked": np.tile(decision, (3, 1))})
    found = Session(special).run({name: images})
    np.testing.assert_allclose(found["logits"], wanted["logits"], atol=1e-5)
    parts = {node.name.split(".")[1] for node in special.graph if node.name.startswith("branches.")}
    assert parts - {"sum"} == {str(b) for b in range(4) if row[b]}


def test_a_predicate_that_no_decision_gives_is_refused(program: Program) -> None:
    with pytest.raises(ModelError, match=r"branches\.0\.selected"):
        base.run(program.clone(), [Specialise({})])
