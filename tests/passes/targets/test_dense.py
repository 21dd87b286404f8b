"""The dense target: no control flow, no functions, and the meaning of the dynamic file."""

from collections.abc import Callable

import numpy as np
import onnx
import onnx.helper
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.runtime.convert import convert
from hydrafy.runtime.targets import dense
from tests.passes.test_lowering import feeds, networks, run

Source = Callable[..., Program]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(networks(), st.integers(0, 9), st.booleans())
def test_dense_is_dynamic_for_any_batch(program: Program, batch: int, everything: bool) -> None:
    given = feeds(batch, seed=batch, everything=everything)
    wanted = run(Session(program, threads=1), given)
    found = run(Session(dense(program), threads=1), given)
    for a, b in zip(wanted, found, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-5)


@pytest.mark.parametrize("recipe", ["dynk", "bypass"])
def test_it_is_plain_onnx_without_control_flow(source: Source, recipe: str) -> None:
    static = source("resnet20")
    dynamic = (
        convert(static, "dynk", branches=5, k=2, split="stage2")
        if recipe == "dynk"
        else base.run(static, [InsertBypass()])
    )
    plain = dense(dynamic)
    proto = plain.to_onnx()
    onnx.checker.check_model(proto, full_check=True)
    assert not proto.functions
    kinds = {node.op_type for node in proto.graph.node}
    assert not kinds & {"If", "Loop", "Scan", "NonZero", "BatchNormalization"}
    assert {entry.domain for entry in proto.opset_import} == {""}
    assert (plain.stage, plain.manifest.target) == ("lowered", "dense")
    assert {o.role for o in plain.manifest.outputs} == {"prediction", "decision"}
    x = np.random.default_rng(0).standard_normal((5, 3, 16, 16)).astype(np.float32)
    for tau in (0.0, 0.3, 0.5, 1.0):
        given = {"input": x, "tau": np.full((1, 1), tau, np.float32)}
        wanted, found = (Session(form, threads=1).run(given) for form in (dynamic, plain))
        for name, array in found.items():
            np.testing.assert_allclose(array, wanted[name], rtol=1e-4, atol=1e-4, err_msg=name)
