"""What bypass makes of a network: at first the same function; gates and losses as options say."""

from collections.abc import Callable
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

Source = Callable[..., Program]


def rate(program: Program) -> LossTerm:
    (term,) = (term for term in program.manifest.losses if term.kind == "rate")
    return term


@pytest.mark.parametrize("network", ["resnet20", "bottleneck", "densenet22"])
@pytest.mark.parametrize("gates", ["dependent", "independent", "depth"])
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
        ({"span": 0}, "must be 1 or more"),
        ({"weight": 0}, "must be above 0"),
        ({"temperature": -1}, "must be above 0"),
        ({"course": "anneal", "target": 1}, "no sense with target=1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(OptionError, match=why):
        Bypass.parse(options)


def test_an_unknown_block_is_refused(source: Source) -> None:
    with pytest.raises(ModelError, match="no block 'stage9'"):
        convert(source("resnet20"), "bypass", blocks="stage9")
