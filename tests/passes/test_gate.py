"""The gate reads the stem, decides for each sample, and starts from the source's classifier."""

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.analysis.anatomy import anatomy
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.gate import InsertGate
from hydrafy.passes.parts import NameParts

PARTITION = ((0, 3, 4), (1, 5, 9), (2, 6), (7, 8))


def gated(program: Program, **options: object) -> Program:
    found = anatomy(program)
    entry, end = found.entry("stage2"), found.features
    passes = [NameParts(entry.name or "", end.name or "")]
    base.run(program, passes)
    settings = {"k": 2, "tau": 0.1, "width": 0.5, **options}
    gate = InsertGate(entry.name or "", end.name or "", PARTITION, **settings)
    return base.run(program, [gate])


def test_its_outputs_and_input_are_declared(source: Callable[..., Program]) -> None:
    program = gated(source("resnet8"), neutral=0.0)
    assert program.stage == "dynamic"
    roles = [(o.name, o.role) for o in program.manifest.outputs]
    assert roles == [("logits", "prediction"), ("picked", "decision"), ("gate.logits", "training")]
    assert [v.name for v in program.graph.inputs] == ["input", "tau"]
    assert program.manifest.runtime_inputs[0].neutral == 0.0
    outputs = {v.name: v for v in program.graph.outputs}
    assert outputs["picked"].dtype == ir.DataType.BOOL
    assert outputs["picked"].shape == ir.Shape(["N", 4])


@pytest.mark.parametrize(("pool", "size"), [(1, 8), (2, 4), (3, 3)])
def test_it_sees_the_stem_pooled(source: Callable[..., Program], pool: int, size: int) -> None:
    program = gated(source("resnet8"), pool=pool)
    convolutions = [n for n in program.graph if n.op_type == "Conv" and n.name.startswith("gate.")]
    shape = convolutions[0].outputs[0].shape
    assert shape is not None and shape[2] == shape[3] == size
    assert any(n.name == "gate.entry_pool" for n in program.graph) == (pool > 1)


def test_it_picks_by_the_softmax_of_its_logits(source: Callable[..., Program]) -> None:
    program = gated(source("resnet8"))
    x = np.random.default_rng(0).standard_normal((20, 3, 16, 16)).astype(np.float32)
    found = Session(program).run({"input": x, "tau": np.full((1, 1), 0.2, np.float32)})
    power = np.exp(found["gate.logits"] - found["gate.logits"].max(1, keepdims=True))
    scores = power / power.sum(1, keepdims=True)
    for row, picked in zip(scores, found["picked"], strict=True):
        best = np.argsort(-row)[:2]
        wanted = {int(best[0])} | {int(b) for b in best if row[b] >= 0.2}
        assert set(np.flatnonzero(picked).tolist()) == wanted


def test_a_full_gate_answers_like_the_source(source: Callable[..., Program]) -> None:
    """At full width the logit of a branch is the mean of its classes' logits."""
    program = gated(source("resnet8"), width=1.0)
    x = np.random.default_rng(0).standard_normal((4, 3, 16, 16)).astype(np.float32)
    found = Session(program).run({"input": x})
    wanted = np.stack([found["logits"][:, list(g)].mean(1) for g in PARTITION], 1)
    np.testing.assert_allclose(found["gate.logits"], wanted, rtol=1e-4, atol=1e-4)
