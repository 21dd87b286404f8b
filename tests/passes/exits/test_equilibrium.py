"""Gradient equilibrium: each weight gets the mean of the gradients of the answers behind it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional

from hydrafy.analysis.answers import answers
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.exits.attach import AttachClassifiers
from hydrafy.passes.exits.classifiers import Strided
from hydrafy.passes.exits.collaborate import Collaborate
from hydrafy.passes.exits.equilibrium import Equilibrium
from hydrafy.train.importer import to_torch

Source = Callable[..., Program]
Gradients = dict[str, torch.Tensor]


def answering(source: Source, name: str) -> Program:
    """A network that answers four times."""
    if name == "msdnet":
        return source("msdnet", exits=4)
    places = {
        "resnet20": ("stage1.3", "stage2.2", "stage3.2"),
        "densenet22": ("stage1.2", "stage2", "stage3.2"),
    }
    return base.run(source(name), [AttachClassifiers(places[name], Strided(4))])


def gradients(program: Program, among: slice) -> Gradients:
    """Of the sum of some answers' cross entropies, for the weights that they reach."""
    module = to_torch(program).double().eval()
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((4, 3, 16, 16)))
    out = module(x)
    labels = torch.arange(4)
    names = [one.output.name or "" for one in answers(program)][among]
    torch.stack([functional.cross_entropy(out[name], labels) for name in names]).sum().backward()
    return {n: p.grad for n, p in module.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", ["resnet20", "densenet22", "msdnet"])
def test_each_weight_gets_the_mean_over_the_exits_behind_it(source: Source, name: str) -> None:
    plain = answering(source, name)
    scaled = base.run(plain.clone(), [Equilibrium()])
    each = [gradients(plain, slice(i, i + 1)) for i in range(4)]
    found = gradients(scaled, slice(None))
    counts = set()
    for weight, gradient in found.items():
        behind = [one[weight] for one in each if weight in one]
        counts.add(len(behind))
        wanted = torch.stack(behind).mean(0)
        rounding = 1e-6 * float(wanted.abs().max())  # a third, as a node's attribute, is float32
        torch.testing.assert_close(gradient, wanted, rtol=0, atol=rounding)
    assert counts == {1, 2, 3, 4}  # the last block's weights and classifiers' have one exit


def test_behind_a_block_of_a_chain_are_the_factors_of_the_paper(source: Source) -> None:
    """Block i of K, from 1 on: 1 / (K - i + 1) to its classifier, (K - i) / (K - i + 1) onward."""
    program = base.run(answering(source, "resnet20"), [Equilibrium()])
    scales = [n.attributes["scale"].as_float() for n in program.graph if n.op_type == "GradScale"]
    assert sorted(scales) == pytest.approx([1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4])  # 1 / 2 for both


def test_nothing_else_changes(source: Source) -> None:
    plain = answering(source, "msdnet")
    x = np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32)
    wanted = Session(plain).run({"input": x})
    found = Session(base.run(plain.clone(), [Equilibrium()])).run({"input": x})
    assert [*found] == [*wanted]
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)


def test_what_no_gradient_runs_through_does_not_count(source: Source) -> None:
    plain = base.run(answering(source, "resnet20"), [Collaborate()])
    program = base.run(plain.clone(), [Equilibrium()])
    scales = [n.attributes["scale"].as_float() for n in program.graph if n.op_type == "GradScale"]
    assert len(scales) == 5 and 1 / 4 in scales


def test_a_network_that_answers_once_stays_as_it_is(source: Source) -> None:
    program = base.run(source("resnet20"), [Equilibrium()])
    assert not any(node.op_type == "GradScale" for node in program.graph)
