"""float16: half the bytes, nearly the same predictions, and the very same decisions."""

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.analysis.predication.predicting import predicting
from hydrafy.errors import ModelError
from hydrafy.execute.machine import this_machine
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.force import ForceDecisions
from hydrafy.runtime.convert import convert
from hydrafy.runtime.targets import dense, half, native
from tests.passes.test_lowering import feeds, lowered, networks, run

Source = Callable[..., Program]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(networks(), st.integers(0, 9), st.booleans())
def test_half_is_near_for_any_batch(program: Program, batch: int, everything: bool) -> None:
    given = feeds(batch, seed=batch, everything=everything)
    wanted = run(Session(program, threads=1), given)
    found = run(Session(half(lowered(program)), threads=1), given)
    for a, b in zip(wanted, found, strict=True):
        assert b.dtype == np.float32
        np.testing.assert_allclose(b, a, atol=2e-2 * max(1.0, np.abs(a).max(initial=0)))


@pytest.mark.parametrize("form", ["any", "single", "dense"])
def test_gates_stay_as_they_are(source: Source, form: str) -> None:
    gated = base.run(source("resnet20"), [InsertBypass()])
    exact = (
        dense(gated)
        if form == "dense"
        else base.run(gated.clone(), lower.pipeline(single=form == "single"))
    )
    small = half(exact)
    assert small.manifest.precision == "float16"
    assert small.weight_bytes() < 0.55 * exact.weight_bytes()  # but gates stay float32
    for name, value in small.graph.initializers.items():
        own = name.startswith(("gates.", "thresholds.")) and "nothing" not in name
        deciding = name == "tau" or own
        if value.dtype in (ir.DataType.FLOAT, ir.DataType.FLOAT16):
            assert (value.dtype == ir.DataType.FLOAT) == deciding, name
    network = predicting(gated)
    assert {n.op_type for n in gated.graph if n not in network} >= {"GumbelGate", "Log"}
    assert all("gates" not in n.name or n.op_type == "Select" for n in network)
    x = np.random.default_rng(0).standard_normal((1, 3, 16, 16)).astype(np.float32)
    for tau in (0.0, 0.5, 1.0):
        given = {"input": x, "tau": np.full((1, 1), tau, np.float32)}
        wanted, found = (Session(p, threads=1).run(given) for p in (exact, small))
        assert {k: v.dtype for k, v in found.items()} == {k: v.dtype for k, v in wanted.items()}
        np.testing.assert_array_equal(found["gates.stage1.open"], wanted["gates.stage1.open"])


def test_with_the_decisions_given_predictions_are_near(source: Source) -> None:
    dynamic = convert(source("resnet20"), "dynk", branches=5, k=2, split="stage2")
    exact = base.run(dynamic, lower.pipeline())
    forms = [base.run(p, [ForceDecisions()]) for p in (half(exact), exact)]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((9, 3, 16, 16)).astype(np.float32)
    given = {"input": x, "picked": rng.random((9, 5)) < 0.5}
    found, wanted = (Session(p, threads=1).run(given)["logits"] for p in forms)
    assert 0 < np.abs(found - wanted).max() < 1e-2 * np.abs(wanted).max()


def test_what_does_not_fit_is_refused(source: Source) -> None:
    gated = base.run(source("resnet20"), [InsertBypass(("stage1.2",))])
    exact = base.run(gated, lower.pipeline())
    name = next(n for n in exact.graph.initializers if n.startswith("conv1"))
    exact.set_weight(name, exact.weight(name) * 1e9)
    with pytest.raises(ModelError, match=f"{name!r} holds numbers over 65504"):
        half(exact)


@pytest.mark.skipif(this_machine().block < 2, reason="no blocked kernels here")
def test_blocked_kernels_have_no_half(source: Source) -> None:
    gated = base.run(source("resnet20"), [InsertBypass(("stage1.2",))])
    with pytest.raises(ModelError, match="compute in float32: lower with --target portable"):
        half(native(base.run(gated, lower.pipeline())))
