import pytest
import torch
from torch import nn

from hydrafy.train.importer import to_torch
from hydrafy.train.optimise import optimiser, rate
from hydrafy.train.schedule import Phase
from hydrafy.train.schedule_files import find
from tests.train.programs import dynamic

SGD = Phase(3, 4, "sgd", 0.1, momentum=0.9, nesterov=True, weight_decay=0.5)
ADAMW = Phase(3, 4, "adamw", 0.1, weight_decay=0.5)


def unmoved(module: nn.Module, phase: Phase) -> set[str]:
    """Which parameters a step without any gradient leaves alone: those without weight decay."""
    before = {n: p.detach().clone() for n, p in module.named_parameters()}
    chosen = optimiser(module, phase)
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    chosen.step()
    return {n for n, p in module.named_parameters() if torch.equal(p, before[n])}


@pytest.mark.parametrize("phase", [SGD, ADAMW], ids=["sgd", "adamw"])
def test_weight_decay_leaves_out_biases_and_batchnorms(phase: Phase) -> None:
    module = to_torch(dynamic())
    names = {name for name, _ in module.named_parameters()}
    spared = {n for n in names if n.endswith(".bias") or ".bn." in n}
    assert unmoved(module, phase) == spared


@pytest.mark.parametrize("phase", [SGD, ADAMW], ids=["sgd", "adamw"])
def test_a_scale_of_each_channel_does_not_decay(phase: Phase) -> None:
    module = nn.Module()
    for name, shape in {"scale": (1, 3, 1, 1), "factor": (), "weight": (2, 3, 1, 1)}.items():
        setattr(module, name, nn.Parameter(torch.ones(shape)))
    assert unmoved(module, phase) == {"scale", "factor"}


def test_a_step_of_sgd_is_the_schedules() -> None:
    module = nn.Linear(2, 2, bias=False)
    nn.init.ones_(module.weight)
    chosen, gradient = optimiser(module, SGD), torch.full((2, 2), 2.0)
    velocity, weight = torch.zeros(2, 2), torch.ones(2, 2)
    for _ in range(3):
        module.weight.grad = gradient.clone()
        chosen.step()
        whole = gradient + 0.5 * weight
        velocity = 0.9 * velocity + whole  # no dampening
        weight = weight - 0.1 * (whole + 0.9 * velocity)  # Nesterov's
    torch.testing.assert_close(module.weight.detach(), weight)


def test_only_what_is_trained_gets_to_the_optimiser() -> None:
    module = to_torch(dynamic())
    module.get_parameter("stem.conv.weight").requires_grad_(False)
    held = {p for group in optimiser(module, ADAMW).param_groups for p in group["params"]}
    assert held == set(module.parameters()) - {module.get_parameter("stem.conv.weight")}


def test_the_rate_follows_the_paper_step_by_step() -> None:
    (phase,) = find("dynk-cifar").phases
    chosen = optimiser(nn.Linear(1, 1), phase)
    scheduler = rate(chosen, phase, steps_per_epoch=3)
    seen = []
    for _ in range(190 * 3):
        seen.append({group["lr"] for group in chosen.param_groups})
        chosen.step()
        scheduler.step()
    assert all(len(rates) == 1 for rates in seen)
    at = {e: seen[e * 3].pop() for e in (0, 79, 80, 139, 140, 169, 170, 179, 180, 189)}
    assert at == pytest.approx(
        {0: 1e-3, 79: 1e-3, 80: 1e-4, 139: 1e-4, 140: 1e-5}
        | {169: 1e-5, 170: 1e-6, 179: 1e-6, 180: 0.5e-6, 189: 0.5e-6}
    )
    assert seen[80 * 3 - 1] == {1e-3}  # up to the last step


def test_a_saved_rate_goes_on_where_it_was() -> None:
    (phase,) = find("default").phases

    def walk(steps: int, state: dict[str, object] | None = None) -> tuple[list[float], object]:
        chosen = optimiser(nn.Linear(1, 1), phase)
        scheduler = rate(chosen, phase, steps_per_epoch=5)
        if state is not None:
            scheduler.load_state_dict(state)
        rates = []
        for _ in range(steps):
            chosen.step()
            scheduler.step()
            rates.append(scheduler.get_last_lr()[0])
        return rates, scheduler.state_dict()

    whole, _ = walk(20)
    first, state = walk(8)
    rest, _ = walk(12, state)
    assert whole == first + rest
