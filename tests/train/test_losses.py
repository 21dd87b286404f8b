import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hydrafy.errors import ModelError
from hydrafy.ir.manifest import LossTerm, Manifest, Output
from hydrafy.train.importer import to_torch
from hydrafy.train.losses import Losses
from tests.train.programs import CLASSES, Sketch, dynamic, images

BRANCHES = range(len(CLASSES))


def gradients(term: str, labels: list[int], k: int = 1) -> tuple[dict[str, float], torch.Tensor]:
    """The largest gradient that one loss term gives to each weight, and what was picked."""
    program = dynamic(k=k)
    module, losses = to_torch(program).train(), Losses.of(program)
    outputs = module(torch.from_numpy(images(program, len(labels))))
    value = losses(outputs, torch.tensor(labels))[term]
    module.zero_grad()
    value.backward()
    found = {
        name: 0.0 if p.grad is None else float(p.grad.abs().max())
        for name, p in module.named_parameters()
    }
    return found, outputs["picked"]


def reached(found: dict[str, float]) -> set[str]:
    """The parts of the network, `branches.0` or `stem`, that got a gradient."""
    parts = [name.split(".") for name, gradient in found.items() if gradient]
    return {".".join(path[:2]) if path[0] == "branches" else path[0] for path in parts}


def test_the_final_loss_reaches_neither_the_gate_nor_a_branch_that_no_sample_picked() -> None:
    found, picked = gradients("final", [0])
    (chosen,) = picked[0].nonzero()[0].tolist()
    assert reached(found) == {"stem", f"branches.{chosen}", "combiner", "head"}
    assert not found[f"branches.{chosen}.fc.weight"]


def test_all_picked_branches_learn_from_the_final_loss() -> None:
    found, _ = gradients("final", [0, 1, 2, 3], k=3)
    assert reached(found) == {"stem", "combiner", "head", *(f"branches.{b}" for b in BRANCHES)}


def test_the_gates_loss_reaches_the_gate_and_the_stem() -> None:
    found, _ = gradients("gate", [0, 1, 2])
    assert reached(found) == {"stem", "gate"}


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_branchs_loss_reaches_that_branch_and_the_stem(branch: int) -> None:
    found, _ = gradients(f"branches.{branch}", [0, 1, 2, 3, 4, 5])
    assert reached(found) == {"stem", f"branches.{branch}"}


def test_samples_without_a_label_count_for_no_cross_entropy() -> None:
    program = dynamic()
    outputs = to_torch(program).eval()(torch.from_numpy(images(program, 6)))
    few = {name: value[[0, 3]] for name, value in outputs.items()}
    losses = Losses.of(program)
    found = losses(outputs, torch.tensor([2, -1, -1, 5, -1, -1]))
    for name, value in losses(few, torch.tensor([2, 5])).items():
        torch.testing.assert_close(found[name], value)


def test_a_term_without_samples_is_zero_and_teaches_nothing() -> None:
    found, _ = gradients("branches.1", [0, 2, 3])
    assert reached(found) == set()
    program = dynamic()
    outputs = to_torch(program)(torch.from_numpy(images(program, 3)))
    assert Losses.of(program)(outputs, torch.tensor([0, 2, 3]))["branches.1"] == 0


def test_the_terms_are_the_cross_entropies_of_eq_3_to_5_and_their_sum_is_eq_7() -> None:
    rng = np.random.default_rng(0)
    outputs = {n: torch.tensor(rng.standard_normal((5, 6))) for n in ("y", "b")}
    outputs["g"] = torch.tensor(rng.standard_normal((5, 3)))
    labels = torch.tensor([0, 5, 1, 3, 0])
    losses = Losses(
        (
            LossTerm("E", "y", 1.0),
            LossTerm("G", "g", 1.5, settings={"target": "group"}),
            LossTerm("b", "b", 0.05, settings={"classes": [*CLASSES[0]]}),
        ),
        CLASSES,
    )
    values = losses(outputs, labels)
    expected = {
        "E": F.cross_entropy(outputs["y"], labels),
        "G": F.cross_entropy(outputs["g"], torch.tensor([0, 2, 1, 0, 0])),
        "b": F.cross_entropy(outputs["b"][[0, 3, 4]], labels[[0, 3, 4]]),
    }
    for name, value in expected.items():
        torch.testing.assert_close(values[name].double(), value, rtol=1e-6, atol=1e-6)
    total = expected["E"] + 1.5 * expected["G"] + 0.05 * expected["b"]
    torch.testing.assert_close(losses.total(values).double(), total, rtol=1e-6, atol=1e-6)


def test_samples_of_other_classes_do_not_count() -> None:
    losses = Losses((LossTerm("b", "b", 1.0, settings={"classes": [1]}),))
    logits = torch.tensor([[0.0, 0.0], [-300.0, 0.0]], requires_grad=True)
    value = losses({"b": logits}, torch.tensor([1, 0]))["b"]
    torch.testing.assert_close(value, torch.log(torch.tensor(2.0)))
    value.backward()
    assert torch.equal(logits.grad, torch.tensor([[0.5, -0.5], [0.0, 0.0]]))


def test_a_static_program_is_trained_on_its_first_prediction() -> None:
    s = Sketch(("N", 4))
    outputs = (Output("r", "training"), Output("y", "prediction"))
    manifest = Manifest(stage="static", outputs=outputs)
    y = s.linear(s.x, "y", 3)
    program = s.program(s.op("Relu", [y], "r"), y, manifest=manifest)
    (term,) = Losses.of(program).terms
    assert (term.output, term.kind, term.weight) == ("y", "cross_entropy", 1.0)


@pytest.mark.parametrize("partition", [(), ((0, 1), (3,)), ((0, 1), (1, 2))])
def test_a_group_term_needs_a_partition_of_all_classes(partition: tuple) -> None:
    program = dynamic()
    program.manifest = dataclasses.replace(program.manifest, partition=partition)
    with pytest.raises(ModelError, match="'gate' needs a partition"):
        Losses.of(program)
