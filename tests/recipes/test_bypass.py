"""What bypass makes of a network: at first the same function; gates and losses as options say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hydrafy.analysis.cost import cost
from hydrafy.errors import ModelError, OptionError
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import LossTerm
from hydrafy.ir.program import Program
from hydrafy.recipes.bypass import Bypass
from hydrafy.runtime.convert import convert
from hydrafy.runtime.finetune import finetune
from hydrafy.runtime.lower import lower_program
from tests.train.problems import options as training

Source = Callable[..., Program]
BLOCKS = [f"stage{stage}{end}" for stage in (1, 2, 3) for end in ("", ".2", ".3")]


def rate(program: Program, name: str = "rate") -> LossTerm:
    (term,) = (term for term in program.manifest.losses if term.name == name)
    assert term.kind == "rate"
    return term


@pytest.mark.parametrize("network", ["resnet20", "bottleneck", "densenet22"])
@pytest.mark.parametrize("gates", ["dependent", "convolutional", "independent", "depth"])
def test_a_fresh_network_computes_what_its_source_does(
    source: Source, network: str, gates: str
) -> None:
    """At the default threshold: all gates are open at first, with a probability of 0.87 or more."""
    static = source(network)
    made = convert(static, "bypass", gates=gates)
    x = np.random.default_rng(0).standard_normal((4, 3, 16, 16)).astype(np.float32)
    wanted = Session(static).run({"input": x})["logits"]
    np.testing.assert_allclose(Session(made).run({"input": x})["logits"], wanted, atol=1e-5)


def test_a_fresh_gate_is_open_for_87_of_100(source: Source) -> None:
    made = convert(source("resnet20"), "bypass")
    x = np.random.default_rng(0).standard_normal((4, 3, 16, 16)).astype(np.float32)
    for tau, opened in ((0.86, True), (0.88, False)):
        found = Session(made).run({"input": x, "tau": np.full((1, 1), tau, np.float32)})
        decided = [found[o.name] for o in made.manifest.outputs if o.role == "decision"]
        assert all((one == opened).all() for one in decided)


def test_the_losses_are_declared_as_the_options_say(source: Source) -> None:
    plain = rate(convert(source("resnet20"), "bypass"))
    assert plain.weight == 2 and plain.settings["scope"] == "batch"
    assert plain.settings["target"] == 0.6 and plain.settings["times"] == 1
    assert plain.settings["costs"] == [[1.0]] * 9
    other = rate(
        convert(
            source("resnet20"), "bypass", gate="stage", cost="macs", loss="gate", times="gates",
            course="anneal", penalty="above", target=0.4, weight=1,
        )
    )  # fmt: skip
    assert other.settings["decisions"] == [f"gates.stage{n}.open" for n in (1, 2, 3)]
    assert [len(costs) for costs in other.settings["costs"]] == [3, 3, 3]
    assert other.settings["costs"][0][0] == 2 * 9 * 8 * 8 * 16 * 16
    assert other.settings["times"] == 9 and other.settings["course"] == "anneal"
    depth = convert(source("resnet20"), "bypass", gates="depth")
    assert [term.kind for term in depth.manifest.losses] == ["cross_entropy"]


def test_blocks_that_change_the_shape_may_be_left_out(source: Source) -> None:
    made = convert(source("resnet20"), "bypass", blocks="same-shape")
    names = [o.name for o in made.manifest.outputs if o.role == "decision"]
    assert len(names) == 7 and "gates.stage2.open" not in names
    some = convert(source("resnet20"), "bypass", blocks="stage1.2, stage3")
    assert [o.name for o in some.manifest.outputs if o.role == "decision"] == [
        "gates.stage1.2.open",
        "gates.stage3.open",
    ]


def test_its_sites_are_what_is_left_without_them(source: Source) -> None:
    static = source("resnet20")
    whole, sites = cost(static).macs, Bypass().sites(static)
    assert sites["stage1"] == whole - 2 * 9 * 8 * 8 * 16 * 16
    assert Bypass(gate="stage", filters=2).sites(static) == sites
    assert list(Bypass(span=3).sites(static)) == ["stage1", "stage2", "stage3"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"target": 1.5}, "target=1.5 is no share: it must be between 0 and 1"),
        ({"target": -0.1}, "between 0 and 1"),
        ({"gates": "dependant"}, "did you mean 'dependent'"),
        ({"span": 0}, "must be between 1 and 1000"),
        ({"filters": 10**12}, "must be between 1 and 1024"),
        ({"gates": "depth", "tau": 0.7}, "always on at inference"),
        ({"weight": 0}, "must be above 0"),
        ({"temperature": -1}, "must be between 0.01 and 100"),
        ({"cooled": 1e300}, "must be between 0.01 and 100"),
        ({"course": "anneal", "target": 1}, "no sense with target=1"),
        ({"exit_target": 2}, "exit_target=2.0 is no share"),
        ({"exit_width": 0}, "exit_width=0 must be between 1 and"),
        ({"exit_gate": "convolution"}, "did you mean 'convolutional'"),
        ({"exit_classifier": "line"}, "did you mean 'linear'"),
        ({"exits": "stage2,stage3, stage2"}, "names a place twice"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(OptionError, match=why):
        Bypass.parse(options)


def test_an_unknown_block_is_refused(source: Source) -> None:
    with pytest.raises(ModelError, match="no block 'stage9'"):
        convert(source("resnet20"), "bypass", blocks="stage9")
    with pytest.raises(ModelError, match="no split 'stage9'"):
        convert(source("resnet20"), "bypass", exits="stage2,stage9")


@pytest.mark.parametrize("network", ["resnet20", "densenet22"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"exit_gate": "convolutional", "exit_classifier": "linear"},
        {"gate": "stage", "cost": "macs"},
        {"gates": "depth"},
        {"gates": "independent", "exits": "stage1.2,stage2"},
    ],
)
def test_fresh_exits_keep_everybody(source: Source, network: str, options: dict[str, Any]) -> None:
    static = source(network)
    made = convert(static, "bypass", **{"exits": "stage2,stage3", "exit_width": 8, **options})
    x = np.random.default_rng(0).standard_normal((4, 3, 16, 16)).astype(np.float32)
    wanted = Session(static).run({"input": x})["logits"]
    found = Session(made).run({"input": x})
    np.testing.assert_allclose(found["logits"], wanted, atol=1e-5)
    assert found["exits.0.stay"].all() and found["exits.1.stay"].all()


def test_the_exits_have_a_loss_of_their_own(source: Source) -> None:
    """Each by itself, and none where more samples leave than should."""
    plain = convert(source("resnet20"), "bypass", exits="stage2, stage3", weight=3)
    assert [term.name for term in plain.manifest.losses] == ["final", "rate", "exits"]
    assert rate(plain).settings["decisions"] == [f"gates.{site}.open" for site in BLOCKS]
    term = rate(plain, "exits")
    assert (term.output, term.weight) == ("exits.0.stay", 3)
    assert term.settings == {
        "decisions": ["exits.0.stay", "exits.1.stay"],
        "costs": [[1.0], [1.0]],
        "target": 0.7,
        "scope": "gate",
        "penalty": "above",
    }
    depth = convert(source("resnet20"), "bypass", exits="stage3", exit_target=0.5, gates="depth")
    assert [term.name for term in depth.manifest.losses] == ["final", "exits"]
    assert depth.manifest.rates[-1].share == rate(depth, "exits").settings["target"] == 0.5
    ((tau,), (other,)) = (one.manifest.runtime_inputs for one in (plain, depth))
    assert tau.noise and not other.noise  # noise in its place is no stochastic depth


def test_training_brings_the_exits_to_their_rate(
    zoo_file: Callable[..., Path], tmp_path: Path
) -> None:
    """Where half should leave they do, by a network that learns; without a target none do."""
    stays = {}
    for target in (0.0, 0.5):
        options: dict[str, Any] = {"exits": "stage2", "exit_target": target, "weight": 10}
        made = convert(zoo_file("resnet8"), "bypass", exit_width=16, **options)
        file = made.save(tmp_path / f"{target}.onnx")
        how = training(3, batch_size=32, learning_rate=0.05)
        first, *_, last = finetune(file, "digits", how, recalibrate=False).history.epochs
        assert last.step.terms["final"] < first.step.terms["final"] / 2
        (stays[target],) = last.step.rates["exits.0.stay"]
    assert stays[0.0] > 0.9 and stays[0.5] <= 0.55


def test_stochastic_depth_scales_in_training_and_cannot_be_sampled_by_noise(source: Source) -> None:
    made = convert(source("resnet8"), "bypass", gates="depth", p_last=1)
    gates = [node for node in made.graph if node.op_type == "GumbelGate"]
    assert gates and all(node.attributes.get_int("inverted", 0) for node in gates)
    (tau,) = made.manifest.runtime_inputs
    assert not tau.noise and not made.weight("tau").any()
    lower_program(made)  # also where no block is ever left out
    (learned,) = convert(source("resnet8"), "bypass").manifest.runtime_inputs
    assert learned.noise
