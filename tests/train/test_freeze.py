import pytest
import torch
from torch import nn

from hydrafy.errors import OptionError
from hydrafy.train.freeze import freeze, still
from hydrafy.train.importer import to_torch
from hydrafy.train.optimise import optimiser
from hydrafy.train.schedule import Phase
from tests.train.programs import dynamic, images


def phase(*, frozen: tuple[str, ...] = (), trained: tuple[str, ...] = ()) -> Phase:
    return Phase(1, 8, "sgd", 0.1, frozen=frozen, trained=trained)


def trained(module: nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}


def changed(module: nn.Module, phase: Phase) -> set[str]:
    """What three steps of training change: parameters and statistics, by name."""
    before = {name: value.clone() for name, value in module.state_dict().items()}
    freeze(module, phase)
    chosen = optimiser(module, phase)
    for seed in range(3):
        module.train()
        still(module)
        outputs = module(torch.from_numpy(images(dynamic(), 8, seed)))
        chosen.zero_grad()
        sum(o.square().mean() for o in outputs.values() if o.is_floating_point()).backward()
        chosen.step()
    return {
        name for name, value in module.state_dict().items() if not torch.equal(value, before[name])
    }


def test_a_frozen_stem_stays_to_the_bit_and_the_rest_moves() -> None:
    module = to_torch(dynamic(k=3))
    everything = set(module.state_dict())
    stem = {name for name in everything if name.startswith("stem.")}
    assert changed(module, phase(frozen=("stem",))) == everything - stem - {"tau"}
    assert changed(module, phase()) == everything - {"tau"}


def test_only_the_last_layers_are_trained() -> None:
    fc = {n for n in to_torch(dynamic()).state_dict() if ".fc." in n}
    assert len(fc) == 10
    assert changed(to_torch(dynamic()), phase(trained=("*fc",))) == fc


@pytest.mark.parametrize(
    ("pattern", "count"),
    [("stem", 3), ("stem.*", 3), ("stem.bn", 2), ("*.bn.bias", 2), ("branches.*.fc", 6), ("*", 22)],
)
def test_a_pattern_matches_parameters_and_the_parts_that_hold_them(
    pattern: str, count: int
) -> None:
    module = to_torch(dynamic())
    freeze(module, phase(trained=(pattern,)))
    assert len(trained(module)) == count


def test_each_phase_starts_afresh() -> None:
    module = to_torch(dynamic())
    everything = trained(module)
    freeze(module, phase(frozen=("stem", "branches.0")))
    assert trained(module) == {n for n in everything if not n.startswith(("stem.", "branches.0."))}
    freeze(module, phase(frozen=("head",)))
    assert trained(module) == {n for n in everything if not n.startswith("head.")}
    freeze(module, phase())
    assert trained(module) == everything


def test_a_batchnorm_stays_still_only_where_all_of_it_is_frozen() -> None:
    module = to_torch(dynamic())
    freeze(module, phase(frozen=("stem.conv", "stem.bn.bias", "combiner")))
    module.train()
    still(module)
    assert module.get_submodule("stem.bn").training
    assert not module.get_submodule("combiner.bn").training
    assert module.training and module.get_submodule("stem.conv").training


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("stm.*", r"'stm\.\*' matches no parameter of the network: did you mean 'stem'"),
        ("branches.7.fc", r"did you mean 'branches\.\d\.fc'"),
        ("stem.bn.wait", r"did you mean 'stem\.bn\.weight'"),
        ("zzz", "known are branches, combiner, gate, head, stem"),
        ("tau", "matches no parameter"),  # it is set by whoever runs the network, never trained
    ],
)
def test_a_pattern_that_matches_nothing_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        freeze(to_torch(dynamic()), phase(frozen=("head", pattern)))


def test_something_must_be_left_to_train() -> None:
    with pytest.raises(OptionError, match="all parameters are frozen"):
        freeze(to_torch(dynamic()), phase(frozen=("*",)))
