import numpy as np
import pytest
import torch
from torch import nn

from hydrafy.errors import DataError, ModelError
from hydrafy.ir.program import Program
from hydrafy.train.importer import to_torch
from hydrafy.train.recalibrate import recalibrate, recalibrated
from tests.train.programs import Sketch, agree, dynamic, images

SLOTS = ("weight", "bias", "running_mean", "running_var")


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 5 + 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def two_layers() -> Program:
    s = Sketch()
    first = s.op("Relu", [s.batchnorm(s.conv(s.x, "first.conv", 4, 3), "first.bn")], "first")
    return s.program(s.batchnorm(s.conv(first, "second.conv", 4, 3), "second.bn"))


def statistics(module: nn.Module) -> dict[str, torch.Tensor]:
    return {n: t.clone() for n, t in module.state_dict().items() if "running" in n}


def test_it_is_the_mean_of_all_batches_each_by_its_rows() -> None:
    s = Sketch()
    module, batches = to_torch(s.program(s.batchnorm(s.x, "bn"))), noise(14, 3, 8, 8).split(8)
    layer = module.get_submodule("bn")
    old_mean, old_var = layer.running_mean.double(), layer.running_var.double() + layer.eps
    (drift,) = recalibrate(module, batches)
    shares = torch.tensor([8 / 14, 6 / 14])[:, None]
    mean = (shares * torch.stack([b.mean((0, 2, 3)) for b in batches])).sum(0)
    var = (shares * torch.stack([b.var((0, 2, 3)) for b in batches])).sum(0)
    torch.testing.assert_close(layer.running_mean, mean)
    torch.testing.assert_close(layer.running_var, var)
    assert drift.layer == "bn"
    assert drift.mean == pytest.approx(float(((mean - old_mean) ** 2 / old_var).mean() ** 0.5))
    assert drift.variance == pytest.approx(float(((var + layer.eps) / old_var).log().mean().exp()))


def test_a_layer_is_measured_behind_the_new_statistics_of_the_one_before() -> None:
    """The old statistics of no layer matter, however wrong."""
    module, x = to_torch(two_layers()), noise(16, 3, 8, 8)
    recalibrate(module, [x])
    wanted = statistics(module)
    module.get_submodule("first.bn").running_mean.fill_(1e3)
    module.get_submodule("second.bn").running_var.fill_(1e3)
    recalibrate(module, [x])
    assert all(torch.equal(t, wanted[n]) for n, t in statistics(module).items())


@pytest.mark.parametrize("tau", [0.0, 1.0])
def test_gates_decide_as_at_inference(tau: float) -> None:
    module, x = to_torch(dynamic(k=2, tau=tau)), noise(32, 3, 8, 8)
    seen: list[torch.Tensor] = []
    picked: list[torch.Tensor] = []
    layer = module.get_submodule("combiner.bn")
    layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    module.register_forward_hook(lambda _, __, outputs: picked.append(outputs["picked"]))
    recalibrate(module.train(), [x])
    assert picked[0].sum(1).tolist() == [1 if tau else 2] * 32
    torch.testing.assert_close(layer.running_mean, seen[0].mean((0, 2, 3)))


def test_only_statistics_change_and_modes_and_momenta_are_left() -> None:
    module = to_torch(dynamic())
    module.train().get_submodule("stem.bn").eval()
    before = {n: t.clone() for n, t in module.state_dict().items()}
    modes = {n: m.training for n, m in module.named_modules()}
    drifts = recalibrate(module, [noise(8, 3, 8, 8)])
    changed = {n for n, t in module.state_dict().items() if not torch.equal(t, before[n])}
    assert {d.layer for d in drifts} == {"stem.bn", "combiner.bn"}
    assert {n for n in changed if "num_batches" not in n} == {
        f"{d.layer}.{slot}" for d in drifts for slot in SLOTS[2:]
    }
    assert modes == {n: m.training for n, m in module.named_modules()}
    assert {module.get_submodule(d.layer).momentum for d in drifts} == {0.1}
    assert all(p.grad is None and p.requires_grad for p in module.parameters())


@pytest.mark.parametrize("part", ["first", "first.bn"])
def test_what_is_frozen_keeps_its_statistics_and_normalises_by_them(part: str) -> None:
    program, x = two_layers(), noise(16, 3, 8, 8)
    module = to_torch(program)
    before = statistics(module)
    assert [d.layer for d in recalibrate(module, [x], frozen=[part])] == ["second.bn"]
    now = statistics(module)
    assert all(torch.equal(now[n], t) for n, t in before.items() if n.startswith("first"))
    inner = torch.relu(module.first.bn.eval()(module.first.conv(x)))
    torch.testing.assert_close(
        now["second.bn.running_mean"], module.second.conv(inner).mean((0, 2, 3))
    )
    assert len(recalibrate(module, [x], frozen=["firs"])) == 2
    assert recalibrate(module, [x], frozen=["first", "second"]) == ()


def test_statistics_that_are_sliced_or_shared() -> None:
    s = Sketch()
    whole = [s.weight(f"bn.{n}", np.full(5, 0.5, np.float32)) for n in SLOTS]
    start, end = s.weight("start", np.array([0])), s.weight("end", np.array([3]))
    parts = [s.op("Slice", [w, start, end], f"{w.name}.part") for w in whole]
    y = s.op("BatchNormalization", [s.x, *parts], "y")
    doubled = s.op("Mul", [s.x, s.weight("two", np.array([2.0], np.float32))], "doubled")
    program = s.program(y, s.op("BatchNormalization", [doubled, *parts], "z"))
    module, batches = to_torch(program), noise(12, 3, 8, 8).split(8)
    assert [d.layer for d in recalibrate(module, batches)] == ["y", "z"]
    mean = torch.cat(batches).mean((0, 2, 3))  # once as it is, and once doubled
    torch.testing.assert_close(module.bn.running_mean[:3], 1.5 * mean)
    assert (module.bn.running_mean[3:] == 0.5).all()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_stops_it_leaves_the_statistics_as_they_were(error: type[BaseException]) -> None:
    module = to_torch(two_layers()).train()
    before = statistics(module)

    def batches() -> object:
        yield noise(8, 3, 8, 8)
        raise error

    with pytest.raises(error):
        recalibrate(module, batches())
    assert all(torch.equal(t, before[n]) for n, t in statistics(module).items())
    assert all(part.training for part in module.modules())
    assert module.get_submodule("first.bn").momentum == 0.1


def test_a_program_gets_new_statistics_and_a_line_in_its_journal() -> None:
    program = two_layers()
    before = program.to_onnx().SerializeToString(deterministic=True)
    batches = [3 * images(program, n, seed=n) for n in (8, 5, 1)]
    made, drifts = recalibrated(program, batches)
    assert program.to_onnx().SerializeToString(deterministic=True) == before
    assert made.manifest.journal[-1].by == "recalibrate"
    assert made.manifest.journal[-1].notes == (
        "statistics of 2 BatchNormalizations from 13 images",
    )
    assert recalibrated(program, batches)[1] == drifts
    assert (
        made.to_onnx().SerializeToString()
        == recalibrated(program, batches)[0].to_onnx().SerializeToString()
    )
    agree(made)


def test_what_cannot_be_recalibrated_is_refused() -> None:
    s = Sketch()
    with pytest.raises(ModelError, match=r"no BatchNormalization .*--restore-batchnorm"):
        recalibrated(s.program(s.conv(s.x, "conv", 4, 3)), [])
    with pytest.raises(DataError, match="no images"):
        recalibrated(two_layers(), [images(two_layers(), 1)])
    wild = images(two_layers(), 4)
    wild[2, 1, 0, 0] = np.inf
    with pytest.raises(ModelError, match=r"'first.bn' is not finite"):
        recalibrated(two_layers(), [wild])
