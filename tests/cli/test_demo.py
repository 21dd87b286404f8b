"""The demo walks the whole road, leaves its files, and prints one table; here in little."""

import json
from pathlib import Path

import pytest

from hydrafy.ir.program import Program
from hydrafy.runtime import demo
from hydrafy.runtime.evaluate import times
from tests.cli.conftest import Invoke


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "NETWORK", {"channels": 1, "classes": 10, "width": 8, "size": 8})
    monkeypatch.setattr(demo, "EPOCHS", {"static": 1, "dynamic": 1})
    monkeypatch.setattr(demo, "BATCHES", (1, 3))
    monkeypatch.setattr(times, "SECONDS", 0.0)


@pytest.mark.usefixtures("little")
def test_the_demo_measures_both_networks(hydrafy: Invoke, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    done = hydrafy("demo", "-o", folder, "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    files = sorted(p.name for p in folder.iterdir())
    assert files == ["digits.deploy.onnx", "digits.dynk.onnx", "digits.onnx", "digits.tuned.onnx"]
    assert Program.load(folder / "digits.deploy.onnx").stage == "lowered"
    assert found["images"] == 450
    assert 0.1 < found["static"]["accuracy"] <= 1
    assert 1 <= found["branches"] <= 2
    assert set(found["ratios"]) == {"1", "3"}
    assert found["static"]["milliseconds"]["3"] > 0
    assert 0 < found["dynamic"]["macs"] < found["static"]["macs"]


@pytest.mark.usefixtures("little")
def test_the_demo_runs_again_only_with_force(hydrafy: Invoke, tmp_path: Path) -> None:
    assert hydrafy("demo", "-o", tmp_path).exit_code == 2
    done = hydrafy("demo", "-o", tmp_path, "--force")
    assert done.exit_code == 0, done.stderr
    assert "ms for one image, batch 3" in done.stdout


@pytest.mark.usefixtures("little")
def test_ctrl_c_says_where_the_files_are(
    hydrafy: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "convert", stop)
    done = hydrafy("demo", "-o", tmp_path / "out")
    assert done.exit_code == 130
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["digits.onnx"]
    assert f"is in {tmp_path / 'out'}" in done.stderr
    assert "nothing was written" not in done.stderr
