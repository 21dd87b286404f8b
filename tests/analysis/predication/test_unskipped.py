"""What a network may skip with its gates, branches and exits, it skips when it is lowered."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from hydrafy.analysis.predication.executed import work
from hydrafy.analysis.predication.unskipped import unskipped
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.passes.lower.merge import Merge
from hydrafy.runtime.convert import convert
from hydrafy.runtime.lower import unproven

ENDS = {"exits.at": "stage1.2,stage2.2,stage3.2"}  # right behind a block that has a gate
BRANCHES = {"dynk.branches": 3, "dynk.k": 2, "dynk.split": "stage3"}
STEM = {"bypass.blocks": "stage1,stage1.2,stage2,stage2.2"}
NETWORKS = {
    "gates-of-a-stage": (("bypass",), {"gate": "stage"}),
    "gates-of-filters": (("bypass",), {"filters": 2}),
    "learned-exits": (("bypass",), {"exits": "stage2,stage3"}),
    "branches": (("dynk",), {"branches": 3, "k": 2, "split": "stage3"}),
    "gates+exits-behind-them": (("bypass", "exits"), ENDS),
    "gates+branches+exits": (("bypass", "dynk", "exits"), {**BRANCHES, **STEM}),
}


def spent(program: Program, chosen: dict[str, np.ndarray], images: int) -> np.ndarray:
    """MACs of each image, int64 [images]."""
    return np.sum([one.macs * one.runs(chosen, images) for one in work(program)], axis=0)


def drawn(program: Program, rates: np.ndarray) -> dict[str, np.ndarray]:
    """Decisions, each of which is made as often as the rate [images] of its image says."""
    rng, values, chosen = np.random.default_rng(0), program.values(), {}
    for output in program.manifest.outputs:
        shape = values[output.name].shape
        if output.role == "decision" and shape is not None:
            each = rng.random((*reversed(shape[1:]), len(rates)))
            chosen[output.name] = np.less(each, rates).T
    return chosen


@pytest.mark.parametrize("single", [False, True], ids=["any batch", "batch 1"])
@pytest.mark.parametrize(("names", "options"), NETWORKS.values(), ids=NETWORKS)
def test_lowering_keeps_all_that_can_be_skipped(
    source: Callable[..., Program], names: tuple, options: dict, single: bool
) -> None:
    made = convert(source("resnet14"), names, **options)
    passes = lower.pipeline(single=single)
    low = base.run(made.clone(), passes)
    assert unskipped(made, low) == []
    rates = np.repeat([0.0, 0.3, 0.7, 1.0], 15)
    chosen = drawn(made, rates)
    static = itertools.takewhile(lambda one: not isinstance(one, Merge), passes)
    flat = base.run(made, list(static))  # type-A shortcuts and folded gates count otherwise
    assert (spent(low, chosen, 60) <= spent(flat, chosen, 60)).all()  # less, where regions merge


def test_what_is_not_skipped_is_told(source: Callable[..., Program]) -> None:
    """Branches of 4x4 places: what one takes is less than what it takes to leave it out."""
    small = convert(source("resnet8"), "dynk", branches=3, k=2, split="stage3")
    found = unskipped(small, unproven(small))
    assert found == [rate.predicate for rate in small.manifest.rates] and len(found) == 3
