"""Samples leave at the first answer that is sure, in every form of a network."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from hydrafy.errors import ModelError
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import LossTerm
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.exits import InsertExits
from hydrafy.passes.exits.attach import AttachClassifiers
from hydrafy.passes.exits.classifiers import LINEAR
from hydrafy.passes.exits.decisions import Confidence
from hydrafy.passes.exits.leave import LeaveEarly
from hydrafy.passes.exits.scores import SCORES
from hydrafy.runtime.lower import Lowering, lower_program
from hydrafy.train.importer import to_torch

Source = Callable[..., Program]
X = np.random.default_rng(0).standard_normal((24, 3, 16, 16)).astype(np.float32)
INF = np.inf


def probabilities(logits: np.ndarray) -> np.ndarray:
    exact = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return exact / exact.sum(1, keepdims=True)


def sure(logits: np.ndarray, score: str) -> np.ndarray:
    """How sure logits [N, classes] are, [N], from the definitions."""
    p = probabilities(logits)
    if score == "probability":
        return p.max(1)
    if score == "entropy":
        return 1 + (p * np.log(p)).sum(1) / np.log(p.shape[1])
    first, second = np.sort(p, 1)[:, :-3:-1].T
    return first - second


def exits(source: Source, score: str = "probability", name: str = "resnet20") -> Program:
    decision = Confidence(score)
    if name == "msdnet":
        return base.run(source(name, exits=3), [LeaveEarly(decision)])
    return base.run(source(name), [InsertExits(("stage2", "stage3"), LINEAR, decision)])


def dividing(program: Program, score: str) -> tuple[np.ndarray, np.ndarray]:
    """Thresholds [1, 2] between which some leave at each exit, and where each sample does so."""
    at_once = Session(program).run({"input": X, "tau": np.full((1, 1), INF, np.float32)})
    scores = np.stack([sure(at_once[f"exits.{i}.logits"], score) for i in range(2)], 1)
    tau = np.quantile(scores, (0.4, 0.6), axis=0).astype(np.float32).diagonal()[None]
    leaves = scores >= tau
    first = np.where(leaves.any(1), leaves.argmax(1), 2)
    assert set(first) == {0, 1, 2}
    return tau, first


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("name", ["resnet20", "densenet22", "msdnet"])
def test_each_sample_has_the_first_answer_that_is_sure(
    source: Source, score: str, name: str
) -> None:
    program = exits(source, score, name)
    tau, first = dividing(program, score)
    found = Session(program).run({"input": X, "tau": tau})
    answers = np.stack([found[f"exits.{i}.logits"] for i in range(3)])
    prediction = next(iter(found))
    np.testing.assert_allclose(found[prediction], answers[first, range(24)], atol=1e-6)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(("target", "single"), [("portable", False), ("native", True)])
def test_dense_file_module_and_lowered_file_agree(
    source: Source, score: str, target: str, single: bool
) -> None:
    program = exits(source, score)
    lowered, _ = lower_program(program, Lowering(target, single=single))  # proven here, too
    dense, low, module = Session(program), Session(lowered, threads=1), to_torch(program).eval()
    some, _ = dividing(program, score)
    for tau in (some, [[INF, -INF]], [[-INF, INF]], [[INF, INF]]):
        bound = np.array(tau, np.float32)
        wanted = dense.run({"input": X, "tau": bound})
        module.tau = torch.from_numpy(bound)
        with torch.no_grad():
            have = module(torch.from_numpy(X))
        for name, array in wanted.items():
            np.testing.assert_allclose(have[name].numpy(), array, rtol=1e-4, atol=1e-4)
        rows = [slice(i, i + 1) for i in range(24)] if single else [slice(0, 24)]
        for part in rows:
            (found,) = low.run({"input": X[part], "tau": bound}, ["logits"]).values()
            np.testing.assert_allclose(found, wanted["logits"][part], rtol=1e-4, atol=1e-4)


def test_an_infinite_threshold_keeps_or_lets_go_everybody(source: Source) -> None:
    program = exits(source)
    static = Session(source("resnet20")).run({"input": X})["logits"]
    for tau, number in (((INF, INF), 2), ((-INF, INF), 0), ((INF, -INF), 1)):
        found = Session(program).run({"input": X, "tau": np.array([tau], np.float32)})
        np.testing.assert_array_equal(found["logits"], found[f"exits.{number}.logits"])
    np.testing.assert_allclose(found["exits.2.logits"], static, rtol=1e-5, atol=1e-5)


def test_lowering_is_told_how_many_are_expected_to_leave(source: Source) -> None:
    insert = InsertExits(("stage2", "stage3"), decision=Confidence(share=0.3))
    rates = base.run(source("resnet8"), [insert]).manifest.rates
    assert {rate.predicate: rate.share for rate in rates} == {
        f"exits.{number}.predicate": 0.3 for number in range(2)
    }


def test_outputs_and_losses_follow_the_last_answer(source: Source) -> None:
    program = base.run(source("resnet20"), [AttachClassifiers(("stage3",))])
    terms = (LossTerm("final", "logits", 1.0), LossTerm("other", "exits.0.logits", 1.0))
    program.manifest = dataclasses.replace(program.manifest, losses=terms)
    found = base.run(program, [LeaveEarly()])
    assert [t.output for t in found.manifest.losses] == ["exits.1.logits", "exits.0.logits"]
    roles = {v.name: found.manifest.role(v.name or "") for v in found.graph.outputs}
    assert roles == {
        "logits": "prediction",
        "exits.0.logits": "training",
        "exits.1.logits": "training",
        "exits.0.sure": "decision",
    }


def test_one_answer_is_too_few(source: Source) -> None:
    with pytest.raises(ModelError, match="answers once only"):
        base.run(source("resnet20"), [LeaveEarly()])


@pytest.mark.parametrize(
    ("places", "why"),
    [
        (("stage9",), "there is no split 'stage9'"),
        (("logits",), "behind the last block"),
        (("input",), "before the first layer"),
        (("stage2", "stage2"), "same place"),
    ],
)
def test_a_place_that_makes_no_sense(source: Source, places: tuple[str, ...], why: str) -> None:
    with pytest.raises(ModelError, match=why):
        base.run(source("resnet20"), [AttachClassifiers(places)])
