"""Two processes with a part of the batch each compute what one process computes with all of it."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from hydrafy.ir.program import Program
from hydrafy.train.across import mean
from hydrafy.train.converters.batchnorm import Normalise
from hydrafy.train.exporter import from_torch
from hydrafy.train.importer import to_torch
from hydrafy.train.synchronise import SynchronisedBatchNorm, synchronise
from tests.train.programs import Sketch, agree, images

SPLITS = {"even": (4, 4), "uneven": (5, 3), "none": (8, 0)}
KINDS = {torch.float64: 1e-10, torch.float32: 5e-5}  # and what may differ, of the largest number
SLOTS = ("weight", "bias", "running_mean", "running_var")
Found = dict[tuple[str, torch.dtype], dict[str, torch.Tensor]]


def network() -> Program:
    """A layer that owns its weights, one of slices, and one behind pooling, of a value a row."""
    s = Sketch()
    x = s.op("Relu", [s.conv(s.batchnorm(s.x, "stem.bn"), "stem.conv", 6, 3)], "stem")
    whole = [s.weight(f"wide.{n}", np.linspace(0.5, 1, 8, dtype=np.float32)) for n in SLOTS]
    start, end = s.weight("start", np.array([0])), s.weight("end", np.array([4]))
    parts = [s.op("Slice", [w, start, end], f"{w.name}.part") for w in whole]
    x = s.op("BatchNormalization", [s.conv(x, "conv", 4, 3), *parts], "sliced")
    return s.program(s.linear(s.batchnorm(s.pooled(x, "head"), "head.bn"), "head.fc", 6))


def batch() -> torch.Tensor:
    """Images far from zero, of a small variance: the difference of two large sums loses it."""
    return 30 + 0.1 * torch.from_numpy(images(network(), 8))


def step(module: nn.Module, kind: torch.dtype, rows: slice) -> dict[str, torch.Tensor]:
    """Outputs for some rows, gradients of the mean over all, and statistics, after two steps."""
    module.train().to(kind)
    wrapped = DistributedDataParallel(module) if dist.is_initialized() else module
    for _ in range(2):
        module.zero_grad()
        outputs = wrapped(batch().to(kind)[rows])["head.fc"]
        mean(outputs.sin().square().sum(1)).backward()
    gradients = {f"gradient of {n}": p.grad for n, p in module.named_parameters()}
    return {"outputs": outputs.detach(), **gradients, **dict(module.named_buffers())}


def process(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    found: Found = {}
    for kind in KINDS:
        for name, (first, _) in SPLITS.items():
            rows = slice(0, first) if rank == 0 else slice(first, 8)
            found[name, kind] = step(synchronise(to_torch(network())), kind, rows)
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """What each of two processes found, for each split of the batch."""
    folder = tmp_path_factory.mktemp("two")
    mp.spawn(process, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_are_one(two: list[Found], split: str, kind: torch.dtype) -> None:
    wanted = step(to_torch(network()), torch.float64, slice(0, 8))
    parts = [found[split, kind] for found in two]
    joined = torch.cat([part.pop("outputs") for part in parts])
    outputs = wanted.pop("outputs")
    close(joined, outputs, KINDS[kind] * float(outputs.abs().max()))
    largest = max(float(t.abs().max()) for n, t in wanted.items() if n.startswith("gradient"))
    assert set(parts[0]) == set(wanted) and len(wanted) == 12 + 8
    for name, value in wanted.items():
        scale = largest if name.startswith("gradient") else float(value.abs().max())
        for part in parts:
            assert part[name].dtype == (kind if value.is_floating_point() else value.dtype)
            close(part[name], value, KINDS[kind] * scale)


def close(found: torch.Tensor, wanted: torch.Tensor, difference: float) -> None:
    torch.testing.assert_close(found.to(wanted.dtype), wanted, rtol=0, atol=difference)


def test_one_process_computes_what_it_did_and_no_name_changes() -> None:
    plain = to_torch(network())
    plain.get_submodule("stem.bn").weight.requires_grad = False
    plain.train().get_submodule("head.bn").eval()
    module: Any = synchronise(copy.deepcopy(plain))
    assert [n for n, _ in module.named_modules()] == [n for n, _ in plain.named_modules()]
    assert list(module.state_dict()) == list(plain.state_dict())
    assert {n: p.requires_grad for n, p in module.named_parameters()} == {
        n: p.requires_grad for n, p in plain.named_parameters()
    }
    assert {n: m.training for n, m in module.named_modules()} == {
        n: m.training for n, m in plain.named_modules()
    }
    torch.testing.assert_close(module(batch()), plain(batch()), rtol=0, atol=0)
    torch.testing.assert_close(module.state_dict(), plain.state_dict(), rtol=0, atol=0)
    agree(from_torch(module), module=module)


def test_momentum_and_epsilon_are_kept() -> None:
    layers = nn.Sequential(nn.BatchNorm1d(3, 0.1, 0.3), Normalise(0.2, 0.4))
    made = synchronise(layers)
    assert [(m.eps, m.momentum) for m in made] == [(0.1, 0.3), (0.2, 0.4)]
    assert isinstance(synchronise(nn.BatchNorm2d(3)), SynchronisedBatchNorm)
