import copy

import numpy as np
import pytest
import torch
from torch import nn

from hydrafy.train.batchnorm import settle
from hydrafy.train.exporter import from_torch
from hydrafy.train.importer import to_torch
from tests.train.programs import Sketch, agree, dynamic, images


def shifted(count: int, seed: int = 1) -> torch.Tensor:
    return 5 + 3 * torch.from_numpy(images(dynamic(), count, seed))


def training(module: nn.Module) -> nn.Module:
    """Training mode, but for the layer that is not fresh: its batch statistics are its own."""
    module.train().get_submodule("stem.bn").eval()
    return module


def test_eval_mode_computes_the_same_and_training_mode_starts_from_there() -> None:
    module, x = to_torch(dynamic(k=2)), shifted(64)
    before = module.eval()(x)["head.fc"]
    wild = training(copy.deepcopy(module))(x)["head.fc"]
    assert not torch.allclose(wild, before, rtol=0.1, atol=0.1)
    assert settle(module, [x[:32], x[32:]]) == ["combiner.bn"]
    torch.testing.assert_close(module.eval()(x)["head.fc"], before, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(training(module)(x)["head.fc"], before, rtol=1e-3, atol=1e-3)


def test_it_measures_the_picks_of_training() -> None:
    module, x = to_torch(dynamic(k=2, tau=1.0)), shifted(64)
    settle(module, [x])
    training(module)
    sums: list[torch.Tensor] = []
    layer = module.get_submodule("combiner.bn")
    layer.register_forward_pre_hook(lambda _, inputs: sums.append(inputs[0]))
    mean = layer.running_mean.clone()
    module(x)
    torch.testing.assert_close(sums[0].mean((0, 2, 3)), mean, rtol=1e-4, atol=1e-4)


def test_only_fresh_layers_change_and_all_keep_their_modes() -> None:
    module, x = to_torch(dynamic()), shifted(8)
    module.train()
    module.get_submodule("stem.bn").eval()
    before = {n: t.clone() for n, t in module.state_dict().items()}
    settle(module, [x])
    changed = {n for n, t in module.state_dict().items() if not torch.equal(t, before[n])}
    slots = ("weight", "bias", "running_mean", "running_var")
    assert changed == {f"combiner.bn.{slot}" for slot in slots}
    assert module.training and not module.get_submodule("stem.bn").training
    assert module.get_submodule("combiner.bn").training
    assert settle(module, [x]) == []  # nothing is fresh any more


def test_without_batches_nothing_changes() -> None:
    program = dynamic()
    module = to_torch(program)
    assert settle(module, []) == []
    agree(from_torch(module))


@pytest.mark.parametrize("value", [0.0, 7.0])
@pytest.mark.parametrize("eps", [1e-5, 1e-3])
def test_a_constant_channel_is_kept_finite(value: float, eps: float) -> None:
    s = Sketch()
    arrays = [np.ones(3), np.zeros(3), np.zeros(3), np.ones(3) - eps]
    slots = ("weight", "bias", "running_mean", "running_var")
    weights = [
        s.weight(f"bn.{slot}", array.astype(np.float32))
        for slot, array in zip(slots, arrays, strict=True)
    ]
    y = s.op("BatchNormalization", [s.x, *weights], "bn", epsilon=eps)
    module = to_torch(s.program(y))
    x = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    x[:, 1] = value
    assert settle(module, [x]) == ["bn"]
    torch.testing.assert_close(module.eval()(x)["bn"], x, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(module.train()(x)["bn"], x, rtol=1e-3, atol=1e-3)
