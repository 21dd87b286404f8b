"""A file with a budget, from the command line: lowered, told of, compared, swept and timed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hydrafy.ir.program import Program
from tests.cli.conftest import Invoke

Files = dict[str, Path]
EXAMPLE = Path(__file__).parents[2] / "examples" / "deadline.py"


@pytest.fixture(scope="module")
def files(hydrafy: Invoke, tmp_path_factory: pytest.TempPathFactory, road: Files) -> Files:
    """A network with two exits, lowered for batches of any size and of one."""
    folder = tmp_path_factory.mktemp("anytime")
    found = {name: folder / f"{name}.onnx" for name in ("exits", "any", "one")}
    places = ("--set", "at=stage2,stage3", "--set", "width=8")
    lower = ("lower", found["exits"], "--anytime")
    for step in (
        ("convert", road["static"], "--recipe", "exits", *places, "-o", found["exits"]),
        (*lower, "-o", found["any"]),
        (*lower, "--batch", "1", "-o", found["one"]),
    ):
        done = hydrafy(*step)
        assert done.exit_code == 0, (step, done.stderr)
    return {**found, "static": road["static"], "dynamic": road["dynamic"], "image": road["image"]}


def answer(hydrafy: Invoke, *words: object) -> Any:
    done = hydrafy(*words, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def steps(hydrafy: Invoke, file: Path) -> list[float]:
    settings = {s["name"]: s for s in answer(hydrafy, "inspect", file)["runtime_inputs"]}
    found: list[float] = settings["budget"]["steps"]
    return found


def test_inspect_tells_what_the_exits_take(hydrafy: Invoke, files: Files) -> None:
    found = steps(hydrafy, files["any"])
    assert len(found) == 3 and 0 < found[0] < found[1] < found[2] == 1
    shown = hydrafy("inspect", files["any"]).stdout
    assert "budget" in shown and all(f"{step:g}" in shown for step in found)


@pytest.mark.parametrize("pair", [("exits", "any"), ("one", "exits"), ("any", "one")])
def test_its_forms_are_equal(hydrafy: Invoke, files: Files, pair: tuple[str, str]) -> None:
    done = hydrafy("verify", *(files[name] for name in pair))
    assert done.exit_code == 0 and "equal" in done.stdout, done.stderr


@pytest.mark.parametrize("form", ["any", "one"])
def test_a_sweep_goes_from_exit_to_exit(hydrafy: Invoke, files: Files, form: str) -> None:
    """What is counted is never more than the budget, but for the first exit."""
    first, second, _ = steps(hydrafy, files[form])
    words = ("--data", "digits", "--limit", "8", "--no-timing")
    sweep = ("--sweep", f"budget=0:1:{(first + second) / 2:g}")
    found = answer(hydrafy, "evaluate", files[form], *words, *sweep)["results"]
    macs = [one["macs"] for one in found]
    assert macs[0] < macs[-1] and macs == sorted(macs)
    for one, spent in zip(found, macs, strict=True):
        assert spent / macs[-1] <= max(one["settings"]["budget"], first) + 0.005


def test_run_and_bench_take_a_budget(hydrafy: Invoke, files: Files) -> None:
    for budget, answered in (("0", ["exits.0.sure"]), ("1", [])):
        (found,) = answer(hydrafy, "run", files["any"], files["image"], "--set", f"budget={budget}")
        assert found["choices"] == answered
    words = ("bench", files["one"], "--against", files["static"], "--batch", "1")
    early, late = (
        answer(hydrafy, *words, "--dense", files["exits"], "--set", f"budget={budget}")["macs"]
        for budget in (0, 1)
    )
    assert early < late / 2


def test_the_example_goes_as_far_as_there_is_time(hydrafy: Invoke, files: Files) -> None:
    words = [sys.executable, EXAMPLE, files["one"], "0", "1e9"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    *answers, hasty, patient = done.stdout.splitlines()
    found = steps(hydrafy, files["one"])
    assert [line.split(":")[0] for line in answers] == ["answer 1", "answer 2", "answer 3"]
    assert hasty.startswith(f"0 ms: budget {found[0]:g}, class ")
    assert patient.startswith("1e+09 ms: budget 1, class ")


def test_a_file_without_exits_is_refused(hydrafy: Invoke, files: Files, tmp_path: Path) -> None:
    target = tmp_path / "deploy.onnx"
    done = hydrafy("lower", files["dynamic"], "--anytime", "-o", target)
    assert done.exit_code == 2 and "has no exits" in done.stderr
    assert not target.exists()
    assert Program.load(files["one"]).data_inputs[0].shape[0] == 1
