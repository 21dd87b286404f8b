"""A fine-tuning that is stopped says how to go on, and what it says is what works."""

import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import Result

from hydrafy.train import finetune

Invoke = Callable[..., Result]
HYDRAFY = [sys.executable, "-m", "hydrafy"]
TRAIN = ["--data", "digits", "--batch-size", "256"]


def stopped(words: Sequence[str], folder: Path) -> str:
    """What a run says that is told to stop once it has come to a checkpoint."""
    with subprocess.Popen([*HYDRAFY, *words], stderr=subprocess.PIPE, text=True) as process:
        while not (folder / "last.ckpt").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    return said


def test_what_it_says_at_ctrl_c_goes_on_also_where_the_output_exists(
    hydrafy: Invoke, road: dict[str, Path], tmp_path: Path
) -> None:
    target, run = tmp_path / "t.onnx", tmp_path / "t.run"
    target.write_bytes(b"of before")
    words = ["finetune", str(road["dynamic"]), *TRAIN, "--epochs", "200", "--force"]
    said = stopped([*words, "-o", str(target)], run)
    (line,) = (line for line in said.splitlines() if line.endswith("--resume"))
    done = hydrafy(*shlex.split(line)[1:], "--finish")
    assert done.exit_code == 0, done.stderr
    assert target.stat().st_size > 1000
    assert sorted(file.name for file in run.iterdir()) == [
        "history.json",
        "lock",
        "settings.json",
        "tensorboard",
    ]


def test_ctrl_c_after_the_training_loses_nothing_either(
    hydrafy: Invoke, road: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    target = tmp_path / "t.onnx"
    words = ("finetune", road["dynamic"], *TRAIN, "--epochs", 1, "-o", target)
    with monkeypatch.context() as patch:
        patch.setattr(finetune, "recalibrated", interrupted)
        done = hydrafy(*words)
    assert done.exit_code == 130 and "nothing is lost" in done.stderr
    assert hydrafy(*words, "--resume").exit_code == 0 and target.exists()
