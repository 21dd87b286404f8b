"""Each branch runs for its rows alone; its projection puts channels back in their old places."""

from collections.abc import Callable

import numpy as np
import pytest

from hydrafy.execute.session import Session
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.force import ForceDecisions
from hydrafy.runtime.convert import convert


def summed(program: Program, picked: np.ndarray) -> np.ndarray:
    """The sum of the branches for these decisions."""
    forced = base.run(program.clone(), [ForceDecisions()])
    total = next(n for n in forced.graph if n.name == "branches.sum")
    forced.graph.outputs.append(total.outputs[0])
    x = np.random.default_rng(0).standard_normal((len(picked), 3, 16, 16)).astype(np.float32)
    return Session(forced).run({"input": x, "picked": picked})["branches.sum"]


@pytest.mark.parametrize("width", [0.25, 1.0])
def test_the_sum_is_that_of_the_picked(source: Callable[..., Program], width: float) -> None:
    program = convert(source("resnet8"), "dynk", branches=3, k=2, branch_width=width)
    for b in range(3 if width < 1 else 0):  # branch b counts b + 1 times
        name = f"branches.{b}.projection.weight"
        program.set_weight(name, program.weight(name) * np.float32(b + 1))
    one = summed(program, np.array([[True, False, False]] * 4))
    all_ = summed(program, np.ones((4, 3), bool))
    none = summed(program, np.zeros((4, 3), bool))
    mixed = summed(program, np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0], [1, 1, 1]], bool))
    weights = np.array([1, 1, 1] if width == 1 else [1, 2, 3])
    assert np.abs(one).max() > 0.1 and not none.any()
    np.testing.assert_allclose(all_, one * weights.sum(), rtol=1e-4, atol=1e-4)
    for row, factor in enumerate([1, weights[1] + weights[2], 0, weights.sum()]):
        np.testing.assert_allclose(mixed[row], one[row] * factor, rtol=1e-4, atol=1e-4)


def test_a_projection_is_a_selection_of_rows(source: Callable[..., Program]) -> None:
    program = convert(source("resnet8"), "dynk", branches=2, k=1, branch_width=0.25)
    kernel = program.weight("branches.1.projection.weight")[:, :, 0, 0]
    assert kernel.shape == (32, 8)
    assert kernel.sum(0).tolist() == [1] * 8 and set(kernel.ravel().tolist()) == {0.0, 1.0}
    places = kernel.argmax(0)
    assert places.tolist() == sorted(places.tolist())
    full = convert(source("resnet8"), "dynk", branches=2, k=1, branch_width=1.0)
    assert not any("projection" in name for name in full.graph.initializers)


def test_selects_ask_their_own_column(source: Callable[..., Program]) -> None:
    program = convert(source("resnet8"), "dynk", branches=3, k=2)
    selects = [n for n in program.graph if ops.is_select(n)]
    assert len(selects) == 3
    for b, select in enumerate(selects):
        gather = select.inputs[0].producer()
        assert gather.inputs[0].name == "picked"
        assert program.weight(gather.inputs[1].name).tolist() == b
        assert {a.name: a.value for a in select.attributes.values()} == {
            "gradient": "none",
        }
    rates = {r.predicate: r.share for r in program.manifest.rates}
    assert rates == {f"branches.{b}.picked": 2 / 3 for b in range(3)}
