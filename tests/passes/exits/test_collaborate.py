"""Inline collaboration: each answer is its own plus what the one before it hands on."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.exits.attach import AttachClassifiers
from hydrafy.passes.exits.classifiers import LINEAR
from hydrafy.passes.exits.collaborate import Collaborate, Path
from hydrafy.train.converters.last_phase import switch
from hydrafy.train.importer import to_torch

Source = Callable[..., Program]
NAMES = ("exits.0.logits", "exits.1.logits", "logits")
X = np.random.default_rng(0).standard_normal((5, 3, 16, 16)).astype(np.float32)


def plain(source: Source) -> Program:
    return base.run(source("resnet20"), [AttachClassifiers(("stage2", "stage3"), LINEAR)])


def run(program: Program) -> Mapping[str, Any]:
    return Session(program).run({"input": X})


def test_identity_sums_up_what_answers_say(source: Source) -> None:
    own = run(plain(source))
    found = run(base.run(plain(source), [Collaborate()]))
    assert {*found} == {*NAMES}
    total = np.zeros((5, 10), np.float32)
    for name in NAMES:
        total = total + own[name]
        np.testing.assert_allclose(found[name], total, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("path", ["identity", "learned"])
def test_the_last_classifier_may_come_first_in_the_file(source: Source, path: Path) -> None:
    program = plain(source)
    early = [node for node in program.graph if (node.name or "").startswith("exits.")]
    program.graph.remove(early)
    program.graph.extend(early)
    wanted = run(base.run(plain(source), [Collaborate(path)]))
    for name, found in run(base.run(program, [Collaborate(path)])).items():
        np.testing.assert_array_equal(found, wanted[name])


def test_a_fresh_learned_path_changes_nothing(source: Source) -> None:
    program = base.run(plain(source), [Collaborate("learned")])
    own, found = run(plain(source)), run(program)
    for name in NAMES:
        np.testing.assert_array_equal(found[name], own[name])


def test_the_learned_path_is_that_of_the_paper(source: Source) -> None:
    """W [f; Relu(BatchNormalization(Linear(z)))], the linear layer as wide as f."""
    program = base.run(plain(source), [Collaborate("learned")])
    rng = np.random.default_rng(1)
    path = "exits.1.transfer"
    second = rng.standard_normal((10, 16)).astype(np.float32)
    program.set_weight(f"{path}.logits.weight", second)
    program.set_weight(f"{path}.norm.running_mean", rng.standard_normal(16).astype(np.float32))
    first, mean = (
        program.weight(f"{path}.hidden.weight"),
        program.weight(f"{path}.norm.running_mean"),
    )
    assert first.shape == (16, 10)  # features of the second stage are 16
    own, found = run(plain(source)), run(program)
    before = own["exits.0.logits"]
    hidden = np.maximum(0, (before @ first.T - mean) / np.sqrt(1 + 1e-5))
    wanted = own["exits.1.logits"] + hidden @ second.T
    np.testing.assert_allclose(found["exits.1.logits"], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("path", ["identity", "learned"])
@pytest.mark.parametrize("stop", [True, False])
def test_whether_a_gradient_flows_back_along_the_path(
    source: Source, path: Any, stop: bool
) -> None:
    program = base.run(plain(source), [Collaborate(path, stop)])
    for number in range(1, 3):  # a fresh path would let none through
        if path == "learned":
            name = f"exits.{number}.transfer.logits.weight"
            program.set_weight(name, np.ones_like(program.weight(name)))
    module = to_torch(program).eval()
    module(torch.from_numpy(X))["logits"].square().sum().backward()
    reached = module.get_parameter("exits.0.logits.weight").grad
    assert (reached is None) == stop


def test_before_the_last_phase_answers_stand_alone(source: Source) -> None:
    module = to_torch(base.run(plain(source), [Collaborate()])).eval()
    own = run(plain(source))
    for on in (False, True):
        switch(module, on)
        with torch.no_grad():
            found = module(torch.from_numpy(X))["logits"].numpy()
        same = np.allclose(found, own["logits"], rtol=1e-4, atol=1e-4)
        assert same != on
