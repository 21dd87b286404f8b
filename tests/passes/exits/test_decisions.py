"""Learned exits: who stays is what a gate says, in every form, and training reaches the gate."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch.nn import functional

from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.exits import InsertExits
from hydrafy.passes.exits.classifiers import LINEAR, Strided
from hydrafy.passes.exits.decisions import Confidence, Learned
from hydrafy.passes.gumbel import Convolutional
from hydrafy.runtime.lower import Lowering, lower_program
from hydrafy.runtime.verify import verify
from hydrafy.train.importer import to_torch

Source = Callable[..., Program]
STAYS = ["exits.0.stay", "exits.1.stay"]
EARLY = ["exits.0.logits", "exits.1.logits"]
CONVOLUTIONAL = Learned(Convolutional(hidden=8))


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 3, 16, 16)).astype(np.float32)


def gated(static: Program, exits: InsertExits) -> Program:
    """Gates of layers, and exits behind them."""
    return base.run(static, [InsertBypass(), exits])


def leaving(static: Program, decision: Learned = CONVOLUTIONAL) -> Program:
    return gated(static, InsertExits(("stage2", "stage3"), Strided(8), decision))


def settings(count: int, columns: int) -> Iterator[np.ndarray]:
    """Thresholds: the default's, those of each gate, and of each gate and image, many of them."""
    rng = np.random.default_rng(count)
    yield np.full((1, columns), 0.5, np.float32)
    yield rng.uniform(0.3, 0.7, (1, columns)).astype(np.float32)
    mixed = np.resize(np.array([[0], [1], [0.5]], np.float32), (count, 1)).repeat(columns, axis=1)
    yield rng.permuted(mixed, axis=0)


def test_a_sample_gets_the_answer_of_the_first_exit_at_which_it_does_not_stay(
    source: Source,
) -> None:
    static = source("resnet20")
    x = images(6)
    last = Session(static).run({"input": x})["logits"]
    program = base.run(static, [InsertExits(("stage3", "stage2"), LINEAR, Learned())])
    tau = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [0, 0], [1, 1]], np.float32)  # 1: leaves
    found = Session(program).run({"input": x, "tau": tau})
    np.testing.assert_array_equal(np.hstack([found[name] for name in STAYS]), tau == 0)
    answers = np.stack([found[EARLY[0]], found[EARLY[1]], last])
    wanted = answers[[2, 1, 0, 0, 2, 0], range(6)]
    np.testing.assert_allclose(found["logits"], wanted, rtol=1e-5, atol=1e-5)
    assert program.manifest.journal[-1].notes == (
        "an exit before stage2",
        "an exit before stage3",
        "samples may leave at 2 of 3 answers",
    )


def test_exits_have_the_columns_behind_those_of_layers(source: Source) -> None:
    program = leaving(source("resnet20"), Learned(tau=0.25))
    tau, (entry,) = program.weight("tau"), program.manifest.runtime_inputs
    assert tau.tolist() == [[0.5] * 9 + [0.25] * 2]
    assert entry.neutral == 0 and entry.noise
    assert entry.meaning.startswith("blocks whose gate") and "leave at an exit" in entry.meaning
    given = (np.random.default_rng(0).random((5, 11)) < 0.5).astype(np.float32)
    found = Session(program).run({"input": images(5), "tau": given})
    decided = [o.name for o in program.manifest.outputs if o.role == "decision"]
    np.testing.assert_array_equal(np.hstack([found[name] for name in decided]), given == 0)


def test_layers_may_get_their_columns_behind_those_of_exits(source: Source) -> None:
    exits = InsertExits(("stage3",), decision=Learned(tau=0.25))
    program = base.run(source("resnet20"), [exits, InsertBypass(("stage1.2", "stage2"))])
    assert program.weight("tau").tolist() == [[0.25, 0.5, 0.5]]
    tau = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]], np.float32)
    found = Session(program).run({"input": images(3), "tau": tau})
    names = ["exits.0.stay", "gates.stage1.2.open", "gates.stage2.open"]
    np.testing.assert_array_equal(np.hstack([found[name] for name in names]), tau == 0)


def test_a_gate_that_is_open_for_sure_keeps_the_function(source: Source) -> None:
    static = source("densenet22")
    wanted = Session(static).run({"input": images(3)})["logits"]
    open_all = {"input": images(3), "tau": np.zeros((1, 1), np.float32)}
    found = Session(leaving(static)).run(open_all)["logits"]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [3, 4, 9])
def test_a_convolutional_gate_averages_squares_of_four_where_they_fit(
    source: Source, size: int
) -> None:
    program = base.run(
        source("resnet8", size=4 * size), [InsertExits(("stage3",), LINEAR, CONVOLUTIONAL)]
    )
    entry, odds = program.values()["layer2.0.relu_1.Relu"], program.values()["exits.0.gate.odds"]
    program.graph.outputs.extend([entry, odds])
    x = np.random.default_rng(0).standard_normal((3, 3, 4 * size, 4 * size)).astype(np.float32)
    out = Session(program).run({"input": x}, [entry.name or "", odds.name or ""])
    y = torch.from_numpy(out[entry.name or ""])

    def weight(name: str) -> torch.Tensor:
        return torch.from_numpy(program.weight(f"exits.0.gate.{name}"))

    for number in range(2):
        y = functional.conv2d(y, weight(f"conv.{number}.weight"), padding=1) / (1 + 1e-5) ** 0.5
        y = functional.relu(y)
    y = functional.avg_pool2d(y, 4) if y.shape[-1] >= 4 else y.mean((2, 3), keepdim=True)
    closed, opened = functional.linear(
        y.flatten(1), weight("logits.weight"), weight("logits.bias")
    ).T
    np.testing.assert_allclose(out[odds.name or ""][:, 0], opened - closed, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("network", "target", "single"),
    [
        ("resnet20", "portable", False),
        ("resnet20", "native", True),
        ("densenet22", "native", False),
        ("densenet22", "portable", True),
        ("densenet40", "portable", False),
    ],
)
def test_dense_file_module_and_lowered_file_agree(
    source: Source, network: str, target: str, single: bool
) -> None:
    program = leaving(source(network))
    lowered, _ = lower_program(program, Lowering(target, single=single))  # proven here, too
    dense, low, module = Session(program), Session(lowered, threads=1), to_torch(program).eval()
    columns, some = program.weight("tau").shape[1], np.zeros(2, bool)
    for count in range(6):
        for tau in settings(count, columns):
            feeds = {"input": images(count), "tau": tau}
            wanted = dense.run(feeds)
            module.tau = torch.from_numpy(tau)
            with torch.no_grad():
                have = module(torch.from_numpy(feeds["input"]))
            for name, array in wanted.items():
                np.testing.assert_allclose(have[name].numpy(), array, rtol=1e-4, atol=1e-4)
            some |= [bool(wanted[n].any()) and not wanted[n].all() for n in STAYS]
            rows = [slice(i, i + 1) for i in range(count)] if single else [slice(0, count)]
            for part in rows:
                own = {"input": feeds["input"][part], "tau": tau[part] if len(tau) > 1 else tau}
                found = low.run(own)
                np.testing.assert_allclose(
                    found["logits"], wanted["logits"][part], rtol=1e-4, atol=1e-4
                )
                assert (found[STAYS[0]] == wanted[STAYS[0]][part]).all()
                reached = wanted[STAYS[0]][part]
                assert (found[STAYS[1]] == (wanted[STAYS[1]][part] & reached)).all()
    assert some.all()


def test_what_leaves_is_answered_in_regions_of_its_own(source: Source) -> None:
    """Neither the rest of the network runs for it, nor its exit's classifier for the others."""
    program = base.run(
        source("resnet20"), [InsertExits(("stage2", "stage3"), Strided(32), Learned())]
    )
    lowered, _ = lower_program(program, Lowering(single=True))
    outside = [node.op_type for node in lowered.graph]
    every = [node.op_type for node in lowered.graph.all_nodes()]
    assert outside.count("If") == 1 and every.count("If") == 2
    assert outside.count("Conv") == 7 and every.count("Conv") == 19 + 2 + 4


def test_an_image_alone_decides_for_itself(source: Source) -> None:
    """Also where another one of the batch is NaN, and in any order."""
    program = leaving(source("resnet20"), Learned())
    lowered, _ = lower_program(program)
    assert verify(program, lowered).worst < 1e-4


def trained(program: Program, count: int = 32) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """The module after the backward pass of the final loss alone, and what it computed."""
    module = to_torch(program).train()
    torch.manual_seed(0)
    out = module(torch.from_numpy(images(count)))
    for name in EARLY:
        out[name].retain_grad()
    functional.cross_entropy(out["logits"], torch.arange(count) % 10).backward()
    return module, out


@pytest.mark.parametrize("decision", [Learned(), CONVOLUTIONAL])
def test_the_final_loss_reaches_every_gate(source: Source, decision: Learned) -> None:
    module, _ = trained(leaving(source("densenet22"), decision))
    weights = {n: p for n, p in module.named_parameters() if "gate.logits.weight" in n}
    assert len(weights) == 2
    for parameter in weights.values():
        assert parameter.grad is not None and parameter.grad.isfinite().all()
        assert parameter.grad.abs().max() > 1e-6


def test_a_classifier_learns_from_those_who_leave_there(source: Source) -> None:
    _, out = trained(leaving(source("resnet20")), 96)
    first, second = (out[name][:, 0] == 1 for name in STAYS)
    for name, leaves in zip(EARLY, (~first, first & ~second), strict=True):
        gradient = out[name].grad
        assert gradient is not None and 0 < leaves.sum() < len(leaves)
        np.testing.assert_array_equal((gradient != 0).any(1), leaves)


def test_decisions_say_by_how_they_are_made_what_they_hold_for(source: Source) -> None:
    for decision, name, gradient in (
        (Confidence(), "sure", "none"),
        (Learned(), "stay", "straight_through"),
    ):
        insert = InsertExits(("stage2",), decision=decision)
        program = base.run(source("resnet8"), [insert])
        assert insert.decisions == [f"exits.0.{name}"]
        assert program.manifest.role(f"exits.0.{name}") == "decision"
        (select,) = (node for node in program.graph if node.op_type == "Select")
        assert select.attributes.get_string("gradient") == gradient
