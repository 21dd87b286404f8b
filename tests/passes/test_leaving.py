"""Networks with exits, drawn by chance: lowered is dense, whoever leaves where, and why."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.analysis.exits import exits
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.passes.anytime import Anytime
from hydrafy.runtime.lower import lower_program
from tests.passes.predicated import feeds, leaving, run
from tests.passes.test_lowering import Poison, lowered

FAR = (np.inf, -np.inf, np.nan)
SEVERAL = settings(max_examples=6, deadline=None, derandomize=True)


def thresholds(program: Program, batch: int) -> dict[str, np.ndarray]:
    """For each image one at each exit: anything, and what is never or always reached."""
    rng = np.random.default_rng(batch)
    (_, columns), kinds = program.weight("tau").shape, (*FAR, 0.25, 0.3, 0.4)
    found = {"tau": rng.choice(kinds, (batch, columns)).astype(np.float32)}
    if any(entry.name == "budget" for entry in program.manifest.runtime_inputs):
        budgets = rng.choice((*FAR, 0, *rng.random(4)), (batch, 1))
        found["budget"] = budgets.astype(np.float32)
    return found


def check(program: Program, low: Session, batch: int, *, rows: bool = False) -> None:
    """The same, in one batch or row by row."""
    drawn = feeds(batch, seed=batch, everything=True)
    taken = {**drawn, **thresholds(program, batch)}
    wanted = run(Session(program, threads=1), taken)
    parts = [slice(i, i + 1) for i in range(batch)] if rows else [slice(None)]
    for part in parts:
        found = run(low, {k: v[part] if v.ndim else v for k, v in taken.items()})
        for output, array in zip(low.outputs, zip(wanted, found, strict=True), strict=True):
            if program.manifest.role(output) == "prediction":
                np.testing.assert_allclose(array[1], array[0][part], atol=1e-4)


@SEVERAL
@given(leaving(), st.integers(0, 7), st.booleans())
def test_lowered_is_dense_wherever_images_leave(program: Program, batch: int, budget: bool) -> None:
    if budget:
        base.run(program, [Anytime()])
    check(program, Session(lowered(program), threads=1), batch)


@SEVERAL
@given(leaving(), st.integers(1, 4), st.booleans())
def test_image_by_image_as_well(program: Program, batch: int, budget: bool) -> None:
    if budget:
        base.run(program, [Anytime()])
    single = base.run(program.clone(), lower.pipeline(single=True))
    check(program, Session(single, threads=1), batch, rows=True)


@SEVERAL
@given(leaving(), st.integers(1, 7))
def test_what_images_that_have_left_would_compute_may_be_anything(
    program: Program, batch: int
) -> None:
    check(program, Session(lowered(program, Poison()), threads=1), batch)


@settings(max_examples=2, deadline=None, derandomize=True)
@given(leaving())
def test_every_exit_is_found_and_proven_with_a_budget(program: Program) -> None:
    count = program.weight("tau").shape[1]
    assert len(exits(program).early) == count
    limited = base.run(program, [Anytime()])
    _, proof = lower_program(limited)
    assert proof.reached >= count
