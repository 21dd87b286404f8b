"""Several recipes on one network: each leaves alone what the other has made dynamic."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from hydrafy.errors import ModelError, OptionError
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.runtime.convert import convert
from hydrafy.runtime.lower import lower_program
from hydrafy.train.importer import to_torch

Source = Callable[..., Program]

FEW = {"dynk.branches": 3, "dynk.k": 2, "dynk.branch_width": 1, "dynk.split": "stage3"}
STEM = "stage1,stage1.2,stage2,stage2.2"


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 3, 16, 16)).astype(np.float32)


@pytest.mark.parametrize("names", [("bypass", "dynk"), ("dynk", "bypass")])
def test_gates_before_the_split_and_branches_behind_it(source: Source, names: tuple) -> None:
    static = source("resnet14")
    made = convert(static, names, **FEW, **{"bypass.blocks": STEM})
    manifest = made.manifest
    assert manifest.recipe == "+".join(names)
    assert manifest.options["dynk.k"] == 2 and manifest.options["bypass.target"] == 0.6
    terms = [term.name for term in manifest.losses]
    assert sorted(terms) == ["branches.0", "branches.1", "branches.2", "final", "gate", "rate"]
    assert {entry.name for entry in manifest.runtime_inputs} == {"tau", f"{names[1]}.tau"}

    x = images(4)
    neutral = {
        entry.name: np.zeros_like(made.weight(entry.name)) for entry in manifest.runtime_inputs
    }
    wanted = Session(static).run({"input": x})["logits"]
    dense = Session(made).run({"input": x, **neutral})
    np.testing.assert_allclose(dense["logits"], wanted, rtol=1e-4, atol=1e-4)

    module = to_torch(made).eval()
    mine, theirs = Session(made).run({"input": x}), module(torch.from_numpy(x))
    for name, array in mine.items():
        np.testing.assert_allclose(theirs[name].detach().numpy(), array, rtol=1e-4, atol=1e-4)
    lowered, proof = lower_program(made)
    assert proof.reached >= 7  # both sides of four gates, and three branches
    found = Session(lowered).run({"input": x})
    np.testing.assert_allclose(found["logits"], mine["logits"], rtol=1e-4, atol=1e-4)


def test_expected_rates_are_those_of_both(source: Source) -> None:
    made = convert(source("resnet14"), ("bypass", "dynk"), **FEW, **{"bypass.blocks": STEM})
    values = made.values()
    shares = {rate.predicate: rate.share for rate in made.manifest.rates}
    assert all(name in values for name in shares)
    assert sorted(shares.values()) == [0.6] * 4 + [2 / 3] * 3


def test_a_split_before_gates_is_refused_with_the_blocks_that_may_have_some(source: Source) -> None:
    remedy = r"gates of another recipe: .*--set bypass.blocks=stage1,stage1.2,stage2,stage2.2$"
    with pytest.raises(ModelError, match=remedy):
        convert(source("resnet14"), ("bypass", "dynk"), **FEW)
    free = {name: value for name, value in FEW.items() if name != "dynk.split"}
    with pytest.raises(ModelError, match="gates of another recipe"):
        convert(source("resnet14"), ("bypass", "dynk"), **free)
    some = convert(source("resnet14"), ("bypass", "dynk"), **free, **{"bypass.blocks": "stage1"})
    assert some.manifest.options["dynk.split"] != "stage1"  # the deepest that is free


def test_no_block_is_left_where_all_are_branches(source: Source) -> None:
    with pytest.raises(ModelError, match="name the recipe bypass before the others"):
        convert(source("resnet14"), ("dynk", "bypass"), **{**FEW, "dynk.split": "stage1"})


def test_exits_go_last(source: Source) -> None:
    few = {**FEW, "bypass.blocks": STEM, "bypass.exits": "stage2"}
    with pytest.raises(ModelError, match="name that recipe last"):
        convert(source("resnet14"), ("bypass", "dynk"), **few)
    made = convert(source("resnet14"), ("dynk", "bypass"), **few)
    assert "exits.0.stay" in [output.name for output in made.manifest.outputs]


@pytest.mark.parametrize(
    ("names", "options", "why"),
    [
        (("dynk",), {".k": 3}, "begins with a dot"),
        (("dynk", "dynk"), {}, "dynk is named twice"),
        (("dynk", "bypass"), {"tau": 0.5}, "ambiguous: write dynk.tau or bypass.tau"),
        (("dynk", "bypass"), {"taz": 0.5}, "neither of the recipes dynk and bypass .*'tau'"),
        (("dynk",), {"bypass.tau": 0.5}, "no recipe 'bypass' is used: .*dynk"),
        (("dynk",), {"bronches": 3}, "no option 'bronches': did you mean 'branches'"),
    ],
)
def test_options_find_their_recipe(source: Source, names: tuple, options: dict, why: str) -> None:
    with pytest.raises(OptionError, match=why):
        convert(source("resnet14"), names, **options)
