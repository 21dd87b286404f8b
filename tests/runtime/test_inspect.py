"""What `inspect` counts is what the papers count, and what the file says of itself."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hydrafy.analysis.cost import cost
from hydrafy.errors import OptionError
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.calibrate import SetThresholds
from hydrafy.recipes.dynk import Dynk
from hydrafy.runtime.convert import convert, report
from hydrafy.runtime.inspect import inspect
from hydrafy.runtime.lower import lower_program
from hydrafy.runtime.read import read

Zoo = Callable[..., Path]


@pytest.fixture(scope="module")
def dynamic(zoo_file: Zoo) -> Program:
    return convert(zoo_file("resnet14"), "dynk", branches=4, k=2, split="stage2")


@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_parameters_are_those_that_torch_counts(zoo_file: Zoo, exporter: str) -> None:
    from hydrafy import zoo

    module = zoo.build("resnet14", width=8, size=16, shortcut="B")
    trainable = sum(p.numel() for p in module.parameters())
    found = inspect(zoo_file("resnet14", shortcut="B", exporter=exporter))
    assert found.parameters == trainable
    parts = sum(p.parameters for p in found.parts) + sum(s.parameters for s in found.stages)
    assert parts == trainable


def test_resnet50_is_that_of_the_paper(zoo_file: Zoo) -> None:
    found = inspect(zoo_file("resnet50", size=224))
    assert found.parameters == 25_557_032
    assert found.macs == 4_089_184_256  # He et al. 2015, table 1: 3.8e9, without projections
    assert [len(stage.blocks) for stage in found.stages] == [3, 4, 6, 3]
    assert [stage.shape for stage in found.stages][-1] == (2048, 7, 7)
    assert sum(p.macs for p in found.parts) + sum(s.macs for s in found.stages) == found.macs


def test_splits_cost_what_the_conversion_costs(zoo_file: Zoo) -> None:
    found = inspect(zoo_file("resnet14"))
    site = next(s for s in found.splits if (s.name, s.recipe) == ("stage3", Dynk.name))
    static = read(zoo_file("resnet14"))
    options = {"branches": 10, "k": 4, "split": "stage3"}
    executed = report(static, convert(static, "dynk", **options)).executed.macs
    assert site.macs == pytest.approx(executed, rel=0.01)
    assert site.share == pytest.approx(executed / found.macs, rel=0.01)


def test_regions_are_the_branches_before_and_after_lowering(
    dynamic: Program, tmp_path: Path
) -> None:
    before = inspect(dynamic.save(tmp_path / "a.onnx"))
    after = inspect(lower_program(dynamic)[0].save(tmp_path / "b.onnx"))
    for found in (before, after):
        assert len(found.regions) == 4
        assert all(r.share == 0.5 and r.side == "a" for r in found.regions)
        assert found.splits == ()
        expected = found.macs_active
        assert expected is not None
        assert expected < found.macs
    assert [r.macs for r in before.regions] == [r.macs for r in after.regions]
    assert [r.predicate for r in before.regions] == [f"branches.{b}.picked" for b in range(4)]
    assert before.macs_active == after.macs_active
    assert before.macs == cost(dynamic).macs


def test_parts_add_up(dynamic: Program, tmp_path: Path) -> None:
    found = inspect(dynamic.save(tmp_path / "a.onnx"))
    names = [part.name for part in found.parts]
    assert names[:3] == ["stem", "gate", "branches.0"]
    assert {"combiner", "head"} <= set(names)
    assert sum(part.macs for part in found.parts) == found.macs
    assert sum(part.macs_active for part in found.parts) == pytest.approx(found.macs_active, abs=9)


def test_a_neutral_value_is_reported(zoo_file: Zoo, tmp_path: Path) -> None:
    program = convert(
        zoo_file("resnet8"), "dynk", branches=2, k=2, branch_width=1.0, split="stage3"
    )
    (tau,) = inspect(program.save(tmp_path / "a.onnx")).runtime_inputs
    assert (tau.name, tau.shape, tau.default, tau.range) == ("tau", (1, 1), [[0.08]], (0.0, 1.0))
    assert tau.neutral == 0.0


def test_of_several_answers_one_is_the_prediction(zoo_file: Zoo) -> None:
    found = inspect(zoo_file("msdnet", exits=3, classes=10))
    roles = {port.name: port.role for port in found.outputs}
    assert roles == {"exit3": "prediction", "exit1": "early answer", "exit2": "early answer"}
    assert [port.role for port in inspect(zoo_file("resnet8")).outputs] == ["prediction"]


def test_options_are_the_thresholds_that_the_file_holds(zoo_file: Zoo, tmp_path: Path) -> None:
    static = read(zoo_file("resnet20"))
    alone = convert(static, "exits", at="stage2,stage3")
    assert inspect(alone.save(tmp_path / "a.onnx")).options == alone.manifest.options
    base.run(alone, [SetThresholds({"tau": np.array([[0.5, 0.75]], np.float32)}, {}, "test")])
    options = inspect(alone.save(tmp_path / "b.onnx")).options
    assert options == {**alone.manifest.options, "tau": (0.5, 0.75)}
    given = {"dynk.split": "stage3", "dynk.branches": 4, "dynk.k": 2, "exits.at": "stage2"}
    both = convert(static, ["dynk", "exits"], **given)
    new = {"tau": np.full((1, 1), 0.25, np.float32), "exits.tau": np.full((1, 1), 0.6, np.float32)}
    base.run(both, [SetThresholds(new, {}, "test")])
    lowered = lower_program(both)[0].save(tmp_path / "c.onnx")
    held = {"dynk.tau": 0.25, "exits.tau": 0.6}
    assert inspect(lowered).options == {**both.manifest.options, **held}
    assert both.manifest.options["exits.tau"] == 0.9


def test_a_network_without_residual_blocks_says_why_it_cannot_be_split(tmp_path: Path) -> None:
    import torch
    from torch import nn

    from hydrafy import zoo

    with torch.random.fork_rng(devices=[]):
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))
    file = zoo.export_onnx(net, tmp_path / "plain.onnx", (3, 8, 8))
    found = inspect(file)
    refused = {split.recipe: split for split in found.splits}
    assert all((one.name, one.macs) == ("everywhere", None) for one in refused.values())
    assert "no residual stage" in (refused["dynk"].refusal or "")
    assert "no block that a sample could bypass" in (refused["bypass"].refusal or "")
    assert [block.kind for stage in found.stages for block in stage.blocks] == ["plain"]
    assert found.parameters == sum(p.numel() for p in net.parameters())


def test_rates_decide_what_is_expected(dynamic: Program, tmp_path: Path) -> None:
    file = dynamic.save(tmp_path / "a.onnx")
    names = [r.predicate for r in inspect(file).regions]
    never, always = inspect(file, dict.fromkeys(names, 0.0)), inspect(file, dict.fromkeys(names, 1))
    branches = sum(r.macs for r in never.regions)
    assert branches > 0
    assert always.macs_active == (never.macs_active or 0) + branches
    one = inspect(file, {**dict.fromkeys(names, 0.0), names[0]: 0.25})
    assert one.macs_active == round((never.macs_active or 0) + never.regions[0].macs / 4)


@pytest.mark.parametrize(
    ("rates", "why"),
    [({"picked": 0.5}, "no predicate 'picked'"), ({"branches.0.picked": 2}, "between 0 and 1")],
)
def test_rates_that_make_no_sense_are_refused(
    dynamic: Program, tmp_path: Path, rates: dict[str, float], why: str
) -> None:
    with pytest.raises(OptionError, match=why):
        inspect(dynamic.save(tmp_path / "a.onnx"), rates)


def test_costs_of_stages_and_the_signs_of_their_blocks(zoo_file: Zoo) -> None:
    found = inspect(zoo_file("resnet20"))
    assert sum(p.macs for p in (*found.parts, *found.stages)) == found.macs
    assert sum(p.parameters for p in (*found.parts, *found.stages)) == found.parameters
    for stage in found.stages:
        assert sum(b.activations for b in stage.blocks) < stage.activations
        assert all(block.non_negative for block in stage.blocks)  # behind a Relu
    between_stages = 4 * (16 * 8 * 8 + 8 * 16 * 16)  # Relus
    assert (
        sum(p.activations for p in (*found.parts, *found.stages)) + between_stages
    ) == found.activations
