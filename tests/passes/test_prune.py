"""A pruned network computes what the dynamic one did for all images that decide as was settled."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.execute.session import Session
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.prune import Prune
from tests.passes.predicated import feeds, gated, networks, reasoned

Arrays = dict[str, np.ndarray]


def pruned(program: Program, settled: dict[str, bool]) -> Program:
    return base.run(program.clone(), [Prune(settled)])


def computes(program: Program, given: Arrays) -> Arrays:
    """All outputs by name; what the network does not take is left out."""
    taken = {v.name for v in program.graph.inputs}
    return Session(program, threads=1).run({k: v for k, v in given.items() if k in taken})


def predictions(program: Program, given: Arrays) -> list[np.ndarray]:
    role = program.manifest.role
    return [v for k, v in computes(program, given).items() if role(k) == "prediction"]


def held(program: Program, given: Arrays) -> Arrays:
    """The predicates of all Selects by name, bool [images] each."""
    probe = program.clone()
    asked = {n.inputs[0] for n in probe.graph if ops.is_select(n)}
    computed = [v for v in asked if v.producer() is not None]
    names = {v.name for v in computed}
    probe.graph.outputs.extend(computed)
    found = {name: array for name, array in computes(probe, given).items() if name in names}
    found.update({v.name: given[v.name] for v in asked if v not in computed})
    return {name: np.broadcast_to(array, len(given["x"])) for name, array in found.items()}


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    st.one_of(networks(), reasoned(), gated()),
    st.booleans(),
    st.sampled_from([1.0, 2.0, 4.0]),
    st.integers(0, 11),
    st.integers(0, 255),
)
def test_images_that_decide_as_was_settled_get_the_same(
    program: Program, everything: bool, budget: float, row: int, which: int
) -> None:
    given = feeds(12, seed=3, everything=everything, budget=budget)
    found = held(program, given)
    settled = {n: bool(found[n][row]) for i, n in enumerate(sorted(found)) if which >> i % 8 & 1}
    made = pruned(program, settled)
    left = {n.inputs[0].name for n in made.graph if ops.is_select(n)}
    assert not left & set(settled)
    agree = np.logical_and.reduce([found[n] == is_held for n, is_held in settled.items()] or True)
    for a, b in zip(predictions(program, given), predictions(made, given), strict=True):
        np.testing.assert_allclose(b[agree], a[agree], atol=1e-5)
    if len(settled) == len(found):
        assert made.stage == "static" and not any(n.domain for n in made.graph)
