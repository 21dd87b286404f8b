"""Calibration of whole files: what a table promises is what evaluation counts in the new file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hydrafy.errors import DataError, ModelError, OptionError
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.exits import InsertExits
from hydrafy.passes.exits.classifiers import LINEAR
from hydrafy.passes.exits.decisions import Confidence, Learned
from hydrafy.runtime.calibrate import Calibrated, calibrate
from hydrafy.runtime.convert import convert
from hydrafy.runtime.evaluate import evaluate
from hydrafy.runtime.lower import lower_program
from hydrafy.train.data import Data
from tests.runtime.calibrate.networks import noise, spread

Source = Callable[..., Program]
IMAGES = 100
PLACES = ("stage2", "stage3")


@pytest.fixture(scope="module")
def images(source: Source) -> Data:
    """Noise of many strengths; its classes are what the network sees, but for every fifth image."""
    x = noise(IMAGES)
    (scores,) = Session(source("resnet8")).run({"input": x}).values()
    labels = scores.argmax(1).astype(np.int64)
    labels[::5] = (labels[::5] + 1) % 10
    return Data(x, labels)


def confident(static: Program) -> Program:
    return base.run(static, [InsertExits(PLACES)])


def entropic(static: Program) -> Program:
    return base.run(static, [InsertExits(PLACES, decision=Confidence(score="entropy"))])


def gated(static: Program) -> Program:
    return spread(base.run(static, [InsertBypass()]))


def learned(static: Program) -> Program:
    return spread(base.run(static, [InsertBypass(), InsertExits(PLACES, LINEAR, Learned())]))


def branched(static: Program) -> Program:
    return spread(convert(static, "dynk", branches=4, k=3, tau=0.2))


def gated_exits(static: Program) -> Program:
    return spread(base.run(static, [InsertBypass(), InsertExits(PLACES)]))


def branched_exits(static: Program) -> Program:
    made = spread(convert(static, "dynk", branches=4, k=3, tau=0.2, split="stage3"))
    return base.run(made, [InsertExits(("stage2",))])


EVERY = [confident, entropic, gated, learned, branched, gated_exits, branched_exits]


@pytest.mark.parametrize("make", EVERY)
def test_the_new_file_does_what_the_table_says(
    source: Source, images: Data, tmp_path: Path, make: Callable[[Program], Program]
) -> None:
    file = make(source("resnet8")).save(tmp_path / "net.onnx")
    made = calibrate(file, images, budget=0.97 if make is branched else 0.8)
    new = made.program.save(tmp_path / "new.onnx")
    before, after = evaluate([file, new], images, batches=()).results
    found = made.found
    assert (found.before.top1, found.before.cost) == (before.top1, before.macs)
    assert (found.chosen.top1, found.chosen.cost) == (after.top1, after.macs)
    assert found.chosen.cost <= found.budget < found.whole
    for name, values in found.chosen.settings.items():
        assert made.program.weight(name).ravel().tolist() == list(values)
    costs = [step.best.cost for step in found.curve]
    tops = [step.best.top1 for step in found.curve]
    assert all(step.best.cost <= step.budget for step in found.curve)
    assert tops == sorted(tops) and costs[0] < costs[-1]
    assert tops[0] < tops[-1] or make is branched  # a single branch may do as well as three


@pytest.fixture(scope="module")
def exits(source: Source, images: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrated")
    return confident(source("resnet8")).save(folder / "net.onnx")


@pytest.fixture(scope="module")
def made(exits: Path, images: Data) -> Calibrated:
    return calibrate(exits, images, budget=0.7)


def test_the_journal_says_why_and_rates_are_what_lowering_expects(made: Calibrated) -> None:
    entry = made.program.manifest.journal[-1]
    assert entry.by == "calibrate"
    assert "for 0.7 of the MACs, on 100 images" in entry.notes[0]
    assert entry.notes[1].startswith("tau = ") and entry.notes[1].endswith(", before 0.9")
    first, second, _ = made.found.chosen.leaves
    rates = {rate.predicate: rate.share for rate in made.program.manifest.rates}
    assert rates["exits.0.predicate"] == first
    assert rates["exits.1.predicate"] == pytest.approx(second / (1 - first))


def test_the_files_own_thresholds_are_told_as_they_are(made: Calibrated, exits: Path) -> None:
    before = made.found.before
    assert before.settings == {"tau": tuple(Program.load(exits).weight("tau").ravel().tolist())}
    assert before.settings != made.found.chosen.settings


def test_the_papers_rule_has_the_gates_that_the_file_has(
    source: Source, images: Data, tmp_path: Path
) -> None:
    """At ratio 1 each exit takes 33 of 100 images, by thresholds of the file's own table."""
    program = gated_exits(source("resnet8"))
    program.set_weight("tau", np.full((1, 3), 0.0625, np.float32))  # some gates are open
    file = program.save(tmp_path / "net.onnx")
    point = calibrate(file, images, budget=0.8).found.paper[19]
    assert point.leaves == (0.33, 0.33, 0.34)
    assert set(point.settings["tau"]) == {0.0625}


def test_the_lowered_file_leaves_as_often(made: Calibrated, images: Data, tmp_path: Path) -> None:
    lowered, _ = lower_program(made.program)
    file = lowered.save(tmp_path / "low.onnx")
    (found,) = evaluate(file, images, batches=()).results
    shares = dict(zip(("exits.0.sure", "exits.1.sure"), made.found.chosen.leaves, strict=False))
    assert found.top1 == made.found.chosen.top1
    assert {name: found.decisions[name] for name in shares} == {n: (s,) for n, s in shares.items()}


def test_both_rules_are_judged_by_images_that_they_have_not_seen(made: Calibrated) -> None:
    found = made.found
    assert found.held_out is not None and found.held_out_paper is not None
    assert len(found.paper) == 39
    assert found.held_out.top1 > found.held_out_paper.top1


def test_each_exit_is_told_as_if_all_left_there(
    made: Calibrated, exits: Path, images: Data
) -> None:
    program = Program.load(exits)
    program.graph.outputs.extend(program.values()[f"exits.{i}.score"] for i in range(2))
    found = Session(program).run({"input": images.images})
    tops = [(found[f"exits.{i}.logits"].argmax(1) == images.labels).mean() for i in range(3)]
    assert [one.top1 for one in made.found.answers] == tops
    costs = [one.cost for one in made.found.answers]
    assert costs == sorted(costs) and costs[-1] == made.found.whole
    ranks = [found[f"exits.{i}.score"].ravel().argsort().argsort() for i in range(2)]
    wanted = np.corrcoef(ranks)[0, 1]
    alike = [one.agreement for one in made.found.answers]
    assert alike == [None, pytest.approx(wanted, abs=1e-3), None]


def test_a_budget_of_more_than_all_is_about_accuracy_alone(exits: Path, images: Data) -> None:
    said: list[str] = []
    found = calibrate(exits, images, budget=3, say=said.append).found
    assert any("thresholds are chosen for accuracy alone" in one for one in said)
    assert found.chosen.top1 == found.curve[-1].best.top1


def test_a_budget_may_be_a_time(exits: Path, images: Data) -> None:
    with pytest.raises(OptionError, match=r"keep a budget of 1e-06 ms: .* --budget-ms 0\.\d+$"):
        calibrate(exits, images, budget_ms=1e-6)
    found = calibrate(exits, images, budget_ms=1e6).found
    assert found.unit == "ms" and 0 < found.curve[0].best.cost < found.whole < 1e3
    assert found.chosen.cost <= found.budget == 1e6


@pytest.mark.parametrize(("make", "gated"), [(branched, "branches"), (gated, "gated blocks")])
def test_without_exits_only_what_is_gated_can_be_skipped(
    source: Source, images: Data, tmp_path: Path, make: Callable[[Program], Program], gated: str
) -> None:
    file = make(source("resnet8")).save(tmp_path / "net.onnx")
    why = f"it has no exits, only {gated} can be skipped, and the least is --budget"
    with pytest.raises(OptionError, match=why) as caught:
        calibrate(file, images, budget=0.01)
    least = float(str(caught.value).rsplit(maxsplit=1)[-1])
    assert 0.01 < least < 1
    assert calibrate(file, images, budget=least).found.chosen.share <= least


def test_the_nearest_budget_is_one(exits: Path, images: Data) -> None:
    with pytest.raises(OptionError, match=r"no thresholds of .* the nearest") as caught:
        calibrate(exits, images, budget=0.01)
    nearest = float(str(caught.value).rsplit(maxsplit=1)[-1])
    found = calibrate(exits, images, budget=nearest).found
    assert found.chosen.leaves == (1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("budgets", "wrong"),
    [
        ({}, "give one of --budget and --budget-ms"),
        ({"budget": 0.5, "budget_ms": 1}, "give one of --budget and --budget-ms"),
        ({"budget": 0}, "--budget 0 makes no sense"),
        ({"budget": float("nan")}, "--budget nan makes no sense"),
        ({"budget_ms": -1}, "--budget-ms -1 makes no sense"),
        ({"budget_ms": float("inf")}, "--budget-ms inf makes no sense"),
    ],
)
def test_budgets_that_make_no_sense(
    exits: Path, images: Data, budgets: dict[str, float], wrong: str
) -> None:
    with pytest.raises(OptionError, match=wrong):
        calibrate(exits, images, **budgets)


def test_files_in_which_nothing_can_be_chosen(
    source: Source, made: Calibrated, images: Data, tmp_path: Path
) -> None:
    static = source("resnet8").save(tmp_path / "static.onnx")
    with pytest.raises(ModelError, match="is static, it has no thresholds: convert it first"):
        calibrate(static, images, budget=0.5)
    lowered = lower_program(made.program)[0]
    origin = dataclasses.replace(lowered.manifest, lowered_from="net.onnx")
    lowered.manifest = origin
    with pytest.raises(ModelError, match=r"is lowered: calibrate net\.onnx, and lower that again"):
        calibrate(lowered.save(tmp_path / "low.onnx"), images, budget=0.5)
    broken = made.program.clone()
    broken.set_weight("tau", np.full_like(broken.weight("tau"), np.nan))
    with pytest.raises(ModelError, match="has a threshold 'tau' that is no number"):
        calibrate(broken.save(tmp_path / "nan.onnx"), images, budget=0.5)


def test_images_that_are_too_few(exits: Path, images: Data) -> None:
    two = Data(images.images[:2], images.labels[:2])
    with pytest.raises(DataError, match=r"fewer images, 2, than .* answers, 3"):
        calibrate(exits, two, budget=0.5)
    few = Data(images.images[:5], images.labels[:5])
    assert calibrate(exits, few, budget=0.8).found.held_out is None
