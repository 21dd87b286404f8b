"""The verb `verify`: equal files, different ones, and files that do not fit each other."""

import json
from pathlib import Path

import numpy as np
import pytest

from hydrafy.ir.program import Program
from tests.cli.conftest import Invoke
from tests.cli.test_refusals import refusal

Road = dict[str, Path]


def test_a_lowered_file_equals_its_dynamic_one(hydrafy: Invoke, road: Road) -> None:
    done = hydrafy("verify", road["lowered"], road["tuned"])
    assert done.exit_code == 0, done.stderr
    assert "equal" in done.stdout and "3 reached both ways" in done.stdout


def test_json_counts_what_was_compared(hydrafy: Invoke, road: Road) -> None:
    words = ("--data", "digits", "--limit", 40, "--json")
    done = hydrafy("verify", road["tuned"], road["lowered"], *words)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["stages"] == ["dynamic", "lowered"]
    assert set(found["verification"]["batches"]) >= {*range(10), 32}
    assert found["verification"]["limit"] == 1e-4


def test_different_files_end_in_one_sentence_and_one(
    hydrafy: Invoke, road: Road, tmp_path: Path
) -> None:
    done = hydrafy("verify", road["dynamic"], road["lowered"])  # before and after training
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: output 'logits' differs by ")
    program = Program.load(road["lowered"])
    program.set_weight("head.fc.bias", program.weight("head.fc.bias") + np.float32(1))
    program.save(tmp_path / "other.onnx")
    done = hydrafy("verify", road["tuned"], tmp_path / "other.onnx")
    assert done.exit_code == 1
    assert "comes from what follows them" in done.stderr
    assert (
        hydrafy("verify", road["tuned"], tmp_path / "other.onnx", "--tolerance", 99).exit_code == 0
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["TUNED", "nothing.onnx"], "no file nothing.onnx"),
        (["TUNED", "LOWERED", "--tolerance", "0"], "tolerance 0"),
        (["TUNED", "LOWERED", "--limit", "0"], "limit 0"),
        (["TUNED", "LOWERED", "--data", "nothing.npz"], "nothing.npz"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input(hydrafy: Invoke, road: Road, words: list[str], said: str) -> None:
    wanted = [str(road[w.lower()]) if w.isupper() else w for w in words]
    assert said in refusal(hydrafy, road["static"].parent, "verify", *wanted)


def test_files_of_two_networks_do_not_fit(hydrafy: Invoke, road: Road, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    assert hydrafy("zoo", "resnet8", "--set", "size=32", "-o", other).exit_code == 0
    assert "do not fit: input" in refusal(hydrafy, tmp_path, "verify", road["static"], other)
