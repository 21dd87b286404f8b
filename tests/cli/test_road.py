"""Every verb works from end to end, and `--json` is JSON and nothing else."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from tests.cli.conftest import Invoke

Road = dict[str, Path]


def answer(hydrafy: Invoke, *words: object) -> Any:
    done = hydrafy(*words, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_convert_writes_beside_the_source_and_says_what_it_costs(
    hydrafy: Invoke, tmp_path: Path, road: Road
) -> None:
    source = tmp_path / "net.onnx"
    source.write_bytes(road["static"].read_bytes())
    options = ("--set", "branches=4", "--set", "k=1", "--set", "split=stage2")
    found = answer(hydrafy, "convert", source, "--recipe", "dynk", *options)
    target = tmp_path / "net.dynk.onnx"
    assert Path(found["output"]) == target
    assert Program.load(target).stage == "dynamic"
    assert found["options"]["split"] == "stage2"
    assert found["source"]["macs"] > found["executed"]["macs"]
    assert found["stored"]["parameters"] > found["executed"]["parameters"]
    assert found["preserved"] is False
    assert found["divergence"] > 1e-4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.dynk.onnx", "net.onnx"]


def test_convert_prints_the_costs_the_split_and_its_warnings(
    hydrafy: Invoke, tmp_path: Path, road: Road
) -> None:
    wide = [f"--set={o}" for o in ("branches=2", "k=2", "branch_width=1", "gate_width=1")]
    done = hydrafy(
        "convert", road["static"], "--recipe", "dynk", *wide, "--set=split=stage3",
        "-o", tmp_path / "wide.onnx",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert "MACs of one image" in done.stdout
    assert "expected (2 branches)" in done.stdout
    assert "split before        stage3" in done.stdout
    assert "function preserved  yes" in done.stdout
    assert "save nothing" in done.stderr


@pytest.mark.parametrize("head", ["", "[dynk]\n"])
def test_set_wins_over_the_config_file(
    hydrafy: Invoke, tmp_path: Path, road: Road, head: str
) -> None:
    config = tmp_path / "dynk.toml"
    config.write_text(f'{head}branches = 3\nk = 3\ntau = 0.05\nsplit = "stage3"\n')
    words = ("--recipe", "dynk", "--config", config, "--set", "k=1", "-o", tmp_path / "o.onnx")
    options = answer(hydrafy, "convert", road["static"], *words)["options"]
    assert (options["branches"], options["k"], options["tau"]) == (3, 1, 0.05)


def test_recipes_lists_them_and_their_options(hydrafy: Invoke) -> None:
    assert "dynk" in [one["name"] for one in answer(hydrafy, "recipes")]
    options = {o["name"]: o for o in answer(hydrafy, "recipes", "dynk")["options"]}
    assert options["branches"]["default"] == 20
    assert options["tau"]["type"] == "float"
    assert "5 on ImageNet32" in options["k"]["paper"]
    assert "branch_width" in hydrafy("recipes", "dynk").stdout


def test_finetune_reports_loss_terms_and_keeps_the_normalisation(
    hydrafy: Invoke, tmp_path: Path, road: Road
) -> None:
    data = tmp_path / "data.npz"
    rng = np.random.default_rng(0)
    np.savez(data, x=rng.integers(0, 256, (40, 16, 16, 1), dtype=np.uint8), y=np.arange(40) % 10)
    words = ("--data", data, "--epochs", 2, "--batch-size", 20, "--mean", 0.5, "--std", 0.25)
    found = answer(hydrafy, "finetune", road["dynamic"], *words, "-o", tmp_path / "t.onnx")
    epochs = found["history"]["epochs"]
    assert len(epochs) == 2 and {"final", "gate", "branches.0"} <= set(epochs[-1]["step"]["terms"])
    tuned = Program.load(found["output"])
    assert tuned.manifest.normalisation is not None
    assert tuned.manifest.normalisation.mean == (0.5,)
    assert [entry.by for entry in tuned.manifest.journal[-2:]] == ["finetune", "recalibrate"]
    before = Program.load(road["dynamic"]).weight("gate.fc.weight")
    assert not np.array_equal(tuned.weight("gate.fc.weight"), before)


def test_lower_reports_its_verification(hydrafy: Invoke, tmp_path: Path, road: Road) -> None:
    found = answer(hydrafy, "lower", road["tuned"], "-o", tmp_path / "low.onnx")
    assert len(found["regions"]) == 3
    assert found["verification"]["reached"] == 3
    assert found["verification"]["worst"] < 1e-4
    assert Program.load(found["output"]).stage == "lowered"
    assert found["not_skipped_by"] == []


def test_lower_tells_what_is_not_skipped(hydrafy: Invoke, tmp_path: Path, road: Road) -> None:
    source, target = tmp_path / "small.onnx", tmp_path / "low.onnx"
    options = ("--set", "branches=3", "--set", "k=2", "--set", "split=stage3")
    answer(hydrafy, "convert", road["static"], "--recipe", "dynk", *options, "-o", source)
    done = hydrafy("lower", source, "-o", target)
    names = ", ".join(rate.predicate for rate in Program.load(source).manifest.rates)
    assert f"Nothing is skipped by {names}: " in " ".join(done.stdout.split())
    assert f"`hydrafy explain {target}`" in " ".join(done.stdout.split())
    dense = hydrafy("lower", source, "--target", "dense")
    assert dense.exit_code == 0 and "Nothing is skipped" not in dense.stdout


def test_lower_names_its_output_after_its_input(
    hydrafy: Invoke, tmp_path: Path, road: Road
) -> None:
    source = tmp_path / "a.dynk.onnx"
    source.write_bytes(road["dynamic"].read_bytes())
    assert hydrafy("lower", source).exit_code == 0
    assert (tmp_path / "a.dynk.deploy.onnx").exists()


def test_weights_may_lie_beside_the_lowered_file(
    hydrafy: Invoke, tmp_path: Path, road: Road
) -> None:
    target, data = tmp_path / "low.onnx", tmp_path / "low.onnx.data"
    words = ["lower", road["tuned"], "-o", target, "--external-data"]
    assert hydrafy(*words).exit_code == 0
    assert data.stat().st_size > 20_000
    plain = answer(hydrafy, "lower", road["tuned"], "-o", tmp_path / "one.onnx")["output"]
    x = np.random.default_rng(0).random((3, 1, 16, 16), np.float32)
    one, two = (Session(file).run({"input": x}) for file in (target, plain))
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name])
    target.unlink()
    again = hydrafy(*words)
    assert again.exit_code == 2 and "low.onnx.data exists" in again.output
    native = hydrafy("lower", road["tuned"], "--target", "native", "--external-data")
    assert native.exit_code == 2 and "slower with mapped weights" in native.output


@pytest.mark.parametrize("name", ["static", "dynamic", "tuned", "lowered"])
def test_run_names_classes_and_choices(hydrafy: Invoke, road: Road, name: str) -> None:
    (found,) = answer(hydrafy, "run", road[name], road["image"])
    chances = [top["probability"] for top in found["top"]]
    assert len(found["top"]) == 5
    assert chances == sorted(chances, reverse=True)
    assert set(found["top"][0]) == {"class", "name", "probability", "score"}
    if name == "static":
        assert found["choices"] == []
    else:
        assert set(found["choices"]) <= {"picked[0]", "picked[1]", "picked[2]"}
        assert 1 <= len(found["choices"]) <= 2


def test_run_takes_run_time_inputs(hydrafy: Invoke, road: Road) -> None:
    words = ("run", road["lowered"], road["image"], "--set")
    assert len(answer(hydrafy, *words, "tau=0")[0]["choices"]) == 2
    assert len(answer(hydrafy, *words, "tau=1")[0]["choices"]) == 1


def test_run_prints_a_table(hydrafy: Invoke, road: Road) -> None:
    done = hydrafy("run", road["dynamic"], road["image"])
    assert done.exit_code == 0
    assert "choices made" in done.stdout
    assert "scaled to 0..1" in done.stderr


def test_inspect_of_a_static_file(hydrafy: Invoke, road: Road) -> None:
    found = answer(hydrafy, "inspect", road["static"])
    assert found["stage"] == "static"
    assert found["macs_active"] is None
    assert [s["name"] for s in found["stages"]] == ["stage1", "stage2", "stage3"]
    assert found["runtime_inputs"] == []
    for recipe in ("bypass", "dynk"):
        names = [s["name"] for s in found["splits"] if s["recipe"] == recipe]
        assert names == ["stage1", "stage2", "stage3"]
    assert "stage2" in hydrafy("inspect", road["static"]).stdout


@pytest.mark.parametrize("name", ["dynamic", "lowered"])
def test_inspect_of_a_dynamic_or_lowered_file(hydrafy: Invoke, road: Road, name: str) -> None:
    found = answer(hydrafy, "inspect", road[name])
    assert found["stage"] == name
    assert found["macs_active"] < found["macs"]
    assert len(found["regions"]) == 3
    assert {o["name"]: o["role"] for o in found["outputs"]}["picked"] == "decision"
    (tau,) = found["runtime_inputs"]
    assert tau["name"] == "tau"
    assert tau["shape"] == [1, 1]
    assert tau["default"] == [[0.08]]
    assert tau["range"] == [0, 1]
    assert tau["neutral"] is None
    assert "picked" in hydrafy("inspect", road[name]).stdout


def test_explain_prints_the_journal(hydrafy: Invoke, road: Road) -> None:
    passes = [entry["by"] for entry in answer(hydrafy, "explain", road["lowered"])]
    order = [passes.index(name) for name in ("insert-gate", "finetune", "sink")]
    assert order == sorted(order)
    assert "insert-branches" in hydrafy("explain", road["lowered"]).stdout
    assert "empty" in hydrafy("explain", road["static"]).stdout


@pytest.mark.parametrize("extra", [(), ("--fold",), ("--exporter", "dynamo")])
def test_zoo_writes_the_same_file_again(
    hydrafy: Invoke, tmp_path: Path, extra: tuple[str, ...]
) -> None:
    words = ("zoo", "resnet8", "--set", "classes=3", "--set", "width=4", "--set", "size=8", *extra)
    first, second = tmp_path / "1.onnx", tmp_path / "2.onnx"
    assert hydrafy(*words, "--seed", 5, "-o", first).exit_code == 0
    found = answer(hydrafy, *words, "--seed", 5, "-o", second)
    assert found["options"]["classes"] == 3
    a, b = Program.load(first), Program.load(second)
    weights = [name for name in a.graph.initializers if name.endswith("weight")]
    assert weights
    assert all(np.array_equal(a.weight(name), b.weight(name)) for name in weights)


def test_zoo_lists_its_networks(hydrafy: Invoke) -> None:
    found = {one["name"]: one["options"] for one in answer(hydrafy, "zoo")}
    assert found["resnet50"]["classes"] == 1000
    assert "resnet20" in hydrafy("zoo").stdout


def test_force_overwrites(hydrafy: Invoke, tmp_path: Path, road: Road) -> None:
    target = tmp_path / "out.onnx"
    target.write_text("old")
    assert hydrafy("lower", road["dynamic"], "-o", target, "--force").exit_code == 0
    assert Program.load(target).stage == "lowered"
