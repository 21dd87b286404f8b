"""A seed decides the weights; BatchNorm's statistics keep the activations in proportion."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from hydrafy import zoo

SMALL: dict[str, dict[str, object]] = {
    "resnet14": {"width": 4, "size": 16},
    "resnet18": {"size": 64},
    "resnext11_4x8d": {"size": 16},
    "preact_resnet14": {"width": 4, "size": 16},
    "preact_resnet20": {"width": 4, "size": 16, "block": "bottleneck"},
    "wrn10_2": {"size": 16},
    "densenet16": {"size": 16},
    "ressep": {"size": 64},
    "msdnet": {"size": 16, "exits": 4},
}


def outputs(module: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
    with torch.no_grad():
        found = module(images)
    return found if isinstance(found, tuple) else (found,)


def norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]


@pytest.mark.parametrize("name", SMALL)
def test_activations_keep_their_scale(name: str) -> None:
    design = zoo.find(name, SMALL[name])
    net = zoo.build(name, **SMALL[name])
    assert not net.training
    spreads: list[float] = []

    def look(norm: nn.Module, _: object, found: torch.Tensor) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        shift, scale = (v[:, None, None] for v in (norm.bias, norm.weight))
        spreads.append(float(((found - shift) / scale).std()))

    for norm in norms(net):
        norm.register_forward_hook(look)
    # other images than those that settled it
    images = torch.randn(16, *design.input_shape, generator=torch.Generator().manual_seed(9))
    logits = outputs(net, images)
    assert all(0.05 < y.std() < 20 for y in logits)
    assert all(0.3 < spread < 3 for spread in spreads), (min(spreads), max(spreads))
    assert len(spreads) == len(norms(net))  # none is left out


def test_statistics_are_those_of_one_batch_and_momentum_is_usual() -> None:
    net = zoo.build("resnet8", width=4, size=8)
    assert {m.momentum for m in norms(net)} == {0.1}
    with torch.no_grad():
        x = net.bn1(net.conv1(torch.randn(256, 3, 8, 8)))
    normalised = (x - net.bn1.bias[:, None, None]) / net.bn1.weight[:, None, None]
    assert torch.allclose(normalised.std(dim=(0, 2, 3)), torch.ones(4), atol=0.1)


def test_unsettled_weights_are_the_same_and_statistics_are_fresh() -> None:
    one, two = (zoo.build("resnet8", 3, settled=s, width=4, size=8) for s in (True, False))
    for (name, a), (_, b) in zip(one.named_parameters(), two.named_parameters(), strict=True):
        assert torch.equal(a, b), name
    assert all(bool((norm.running_var == 1).all()) for norm in norms(two))
    assert not two.training


def test_a_seed_decides_the_weights_and_leaves_the_callers_state() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one, same = (zoo.build("resnet8", 3, width=4).state_dict() for _ in range(2))
    other = zoo.build("resnet8", 4, width=4).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["conv1.weight"], other["conv1.weight"])


@pytest.mark.parametrize("name", ["resnet8", "densenet10"])
def test_no_two_parameters_are_equal(name: str) -> None:
    values = [tuple(p.flatten().tolist()) for p in zoo.build(name).parameters()]
    assert len(set(values)) == len(values)


def test_channels_and_size_are_those_asked_for() -> None:
    net = zoo.build("resnet8", classes=7, channels=1, width=4, size=12)
    stages: list[tuple[int, ...]] = []
    for stage in (net.layer1, net.layer2, net.layer3):
        stage.register_forward_hook(lambda _m, _i, out: stages.append(tuple(out.shape)))
    assert net(torch.randn(3, 1, 12, 12)).shape == (3, 7)
    assert stages == [(3, 4, 12, 12), (3, 8, 6, 6), (3, 16, 3, 3)]
    assert all(a[2] == 2 * b[2] for a, b in pairwise(stages))
