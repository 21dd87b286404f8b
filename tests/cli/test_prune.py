"""The verb prints each layer and what was removed, as tables or as JSON, and writes a file."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.runtime.convert import convert
from tests.cli.conftest import Invoke
from tests.cli.test_refusals import refusal


@pytest.fixture
def file(source: Callable[..., Program], tmp_path: Path) -> Path:
    return base.run(source("resnet8", channels=1), [InsertBypass()]).save(tmp_path / "net.onnx")


def test_a_file_beside_the_input_and_tables(hydrafy: Invoke, file: Path) -> None:
    done = hydrafy("prune", file, "--data", "digits", "--set", "tau=0", "--limit", 64)
    assert done.exit_code == 0, done.stderr
    made = Program.load(file.with_name("net.pruned.onnx"))
    assert made.stage == "static"
    words = " ".join(done.stdout.split())
    assert "gates.stage1.runs 100.0 %" in words and "runs always, its gate removed" in words
    assert "before" in words and "after" in words and "network static" in words
    again = hydrafy("prune", file, "--data", "digits")
    assert again.exit_code == 2 and "exists" in again.stderr
    told = hydrafy("explain", file.with_name("net.pruned.onnx"))
    assert "nobody asks any more" in told.stdout
    seen = hydrafy("inspect", file.with_name("net.pruned.onnx"))
    assert seen.exit_code == 0 and "stage3" in seen.stdout


def test_json(hydrafy: Invoke, file: Path, tmp_path: Path) -> None:
    target = tmp_path / "made.onnx"
    done = hydrafy("prune", file, "--data", "digits", "--set", "tau=1", "--json", "-o", target)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["output"], found["stage"], found["images"]) == (str(target), "static", 1347)
    assert [layer["fate"] for layer in found["layers"]] == ["removed"] * 3
    assert found["layers"][0] == {
        "predicate": "gates.stage1.runs", "activation": 0.0, "macs": 294912, "fate": "removed",
    }  # fmt: skip
    assert 0 <= found["before"]["accuracy"] <= 1
    assert found["after"]["parameters"] < found["before"]["parameters"]
    assert "Every gated layer was removed" in done.stderr


def test_exits_have_words_of_their_own(
    hydrafy: Invoke, source: Callable[..., Program], tmp_path: Path
) -> None:
    program = convert(source("resnet8", channels=1), "exits", at="stage2,stage3")
    program.set_weight("tau", np.array([[np.inf, 0.0]], np.float32))  # the second for everybody
    file = program.save(tmp_path / "exits.onnx")
    words = (file, "--data", "digits", "--limit", 16)
    done = hydrafy("prune", *words)
    assert done.exit_code == 0, done.stderr
    told = " ".join(done.stdout.split())
    assert "its classifier stays, for a later answer is made of it" in told
    assert "exits.1.predicate 100.0 %" in told and "removed what is behind it" in told
    assert "gated" not in told and "layer" not in told
    assert "'exits.0.predicate' is no exit any more, but" in done.stderr
    found = json.loads(hydrafy("prune", *words, "--json", "--force").stdout)
    assert found["layers"] == []
    assert found["exits"][0] == {
        "predicate": "exits.0.predicate", "left": 0.0, "macs": 0, "fate": "built on",
    }  # fmt: skip
    assert found["exits"][1]["fate"] == "end"


def test_refusals(hydrafy: Invoke, road: dict[str, Path], file: Path, tmp_path: Path) -> None:
    def said(*words: object) -> str:
        return refusal(hydrafy, tmp_path, "prune", *words)

    data = ("--data", "digits")
    assert "nothing in it is gated" in said(road["static"], *data, "-o", tmp_path / "x.onnx")
    assert said(road["lowered"], *data, "-o", tmp_path / "x.onnx").endswith(
        "is lowered: prune the dynamic file it was lowered from, tuned.onnx"
    )
    assert "bounds 0.5 and 0.2 make no sense" in said(file, *data, "--below", 0.5, "--above", 0.2)
    assert "no run-time input 'tua'" in said(file, *data, "--set", "tua=1")
    assert "there is no file or folder nowhere" in said(file, "--data", "nowhere")
    assert "is the input itself" in said(file, *data, "-o", file)
