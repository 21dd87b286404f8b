"""The verb writes a file beside the input, prints the curve as a table or as JSON, and draws it."""

import json
from pathlib import Path

import numpy as np
import pytest

from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.exits import InsertExits
from hydrafy.runtime.lower import lower_program
from hydrafy.runtime.read import read
from tests.cli.conftest import Invoke


@pytest.fixture(scope="module")
def file(road: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with an exit."""
    program = base.run(read(road["static"]), [InsertExits(("stage2",))])
    return program.save(tmp_path_factory.mktemp("exits") / "net.exits.onnx")


def test_a_file_beside_the_input_and_the_curve(hydrafy: Invoke, file: Path) -> None:
    words = ("calibrate", file, "--data", "digits", "--budget", 0.8)
    done = hydrafy(*words, "--plot", file.with_name("curve.svg"))
    assert done.exit_code == 0, done.stderr
    made = Program.load(file.with_name("net.exits.calibrated.onnx"))
    assert made.manifest.journal[-1].by == "calibrate"
    assert lower_program(made)[0].weight("tau").tolist() == made.weight("tau").tolist()
    for words_there in ("half chooses, half judges: the paper's rule", "leave at exits", "tau"):
        assert words_there in done.stdout
    assert "</svg>" in file.with_name("curve.svg").read_text()
    again = hydrafy(*words)
    assert again.exit_code == 2 and "exists: name another output with -o" in again.stderr
    drawn = ("--plot", file.with_name("curve.svg"), "-o", file.with_name("other.onnx"))
    again = hydrafy(*words, *drawn)
    assert again.exit_code == 2 and "exists: name another output with --plot" in again.stderr


def test_json(hydrafy: Invoke, file: Path, tmp_path: Path) -> None:
    target = tmp_path / "made.onnx"
    words = ("--data", "digits", "--budget", 0.8, "--json", "-o", target)
    done = hydrafy("calibrate", file, *words)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["output"], found["unit"], found["images"]) == (str(target), "MACs", 450)
    assert found["chosen"]["share"] <= 0.8 and len(found["paper"]) == 39
    tau = Program.load(target).weight("tau")
    assert found["chosen"]["settings"] == {"tau": tau.ravel().tolist()}
    assert found["curve"][-1]["best"]["leaves"][0] + found["curve"][-1]["best"]["leaves"][1] == 1


def test_gates_have_a_curve_without_the_papers_columns(
    hydrafy: Invoke, road: dict[str, Path], tmp_path: Path
) -> None:
    target = tmp_path / "made.onnx"
    done = hydrafy("calibrate", road["tuned"], "--data", "digits", "--budget", 1, "-o", target)
    assert done.exit_code == 0, done.stderr
    assert "for accuracy alone" in done.stderr
    assert "the paper's rule" not in done.stdout and "of the whole" in done.stdout


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["--budget", "0.01"], "the nearest that some do is --budget 0."),
        (["--budget", "-1"], "--budget -1 makes no sense: it must be a number above 0"),
        (["--budget", "half"], "'half' is not a valid float"),
        ([], "give one of --budget and --budget-ms"),
        (["--budget", "1", "--budget-ms", "1"], "give one of --budget and --budget-ms"),
        (["--budget", "1", "--plot", "made.gif"], "made.gif cannot be drawn"),
        (["--budget", "1", "--plot", "made.onnx"], "made.onnx cannot hold two outputs"),
    ],
)
def test_errors_are_one_sentence_and_nothing_is_written(
    hydrafy: Invoke,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    wrong: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = hydrafy("calibrate", file, "--data", "digits", *words, "-o", "made.onnx")
    assert done.exit_code == 2 and done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1 and wrong in errors[0]
    assert not [*tmp_path.iterdir()]


def test_images_without_labels_are_refused(hydrafy: Invoke, file: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((20, 16, 16, 1), np.uint8))
    words = ("--data", tmp_path / "x.npz", "--budget", 0.5, "-o", tmp_path / "made.onnx")
    done = hydrafy("calibrate", file, *words)
    assert done.exit_code == 2 and "label" in done.stderr
