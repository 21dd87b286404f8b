"""The verb prints what moved, as a table or as JSON, and writes a file beside the input."""

import json
from pathlib import Path

import pytest

from hydrafy.ir.program import Program
from tests.cli.conftest import Invoke


@pytest.mark.parametrize("stage", ["static", "dynamic"])
def test_a_file_beside_the_input_and_a_table(
    hydrafy: Invoke, road: dict[str, Path], tmp_path: Path, stage: str
) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(road[stage].read_bytes())
    done = hydrafy("recalibrate", file, "--data", "digits", "--batches", "2")
    assert done.exit_code == 0, done.stderr
    made = Program.load(tmp_path / "net.recalibrated.onnx")
    assert made.manifest.stage == stage
    assert made.manifest.journal[-1].by == "recalibrate"
    assert "512" in done.stdout and "mean moved by" in done.stdout
    again = hydrafy("recalibrate", file, "--data", "digits")
    assert again.exit_code == 2 and "exists" in again.stderr


def test_json(hydrafy: Invoke, road: dict[str, Path], tmp_path: Path) -> None:
    target = tmp_path / "made.onnx"
    few = ["--batches", 1, "--batch-size", 64, "--json"]
    done = hydrafy("recalibrate", road["tuned"], "--data", "digits", *few, "-o", target)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["output"], found["images"], found["damaged"]) == (str(target), 64, 0)
    assert {"layer", "mean", "variance"} == set(found["layers"][0])
    assert target.exists()
