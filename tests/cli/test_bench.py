"""The verb `bench`: tables, JSON, and one sentence for what it cannot do."""

import json
from pathlib import Path

import pytest

from hydrafy.runtime import bench as module
from hydrafy.runtime.bench import fit as fitting
from hydrafy.runtime.bench.fit import Sample
from hydrafy.runtime.machine import processor
from tests.cli.conftest import Invoke
from tests.cli.test_refusals import refusal

Road = dict[str, Path]
SMALL = (Sample("resnet8", (("size", 16),)), Sample("resnet8", bypassed=True))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.0)


def words(road: Road, *more: object) -> tuple[object, ...]:
    return ("bench", road["lowered"], "--against", road["static"], "--dense", road["tuned"], *more)


def test_json_holds_what_was_measured(hydrafy: Invoke, road: Road) -> None:
    done = hydrafy(*words(road, "--data", "digits", "--batch", "1", "--json"))
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["noise"] is False
    assert found["threads"] == 1
    (one,) = found["sizes"]
    assert one["batch"] == 1
    assert len(one["forced"]) == 5
    assert set(found["predicates"]) == {f"branches.{b}.picked" for b in range(3)}


def test_the_tables_say_what_was_measured(hydrafy: Invoke, road: Road) -> None:
    done = hydrafy(*words(road, "--batch", "1,4", "--set", "tau=0"))
    assert done.exit_code == 0, done.stderr
    text = " ".join(done.stdout.split())
    for said in ("Batch 1:", "Batch 4:", "128 images of noise of seed 0", "name some with --data",
                 "1 thread", "over its oracle", "at batch 1 the static network of", "work skipped",
                 "where the time goes", "gather, scatter, layout", "held for"):  # fmt: skip
        assert said in text
    assert "timing at batch 4" in done.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--batch", "1,x"], "batch sizes"),
        (["--batch", "0"], "batch size 0"),
        (["--set", "taw=0"], "did you mean 'tau'?"),
        (["--set", "tau"], "--set NAME=VALUE"),
        (["--set", "tau=7"], "out of range"),
        (["--data", "nothing.npz"], "nothing.npz"),
        (["--dense", "nothing.onnx"], "no file nothing.onnx"),
        (["--dense", "STATIC"], "has to be dynamic"),
        (["--against", "LOWERED"], "has to be static"),
        (["--threads", "-2"], "threads"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input(hydrafy: Invoke, road: Road, more: list[str], said: str) -> None:
    wanted = [str(road[w.lower()]) if w.isupper() else w for w in more]
    assert said in refusal(hydrafy, road["static"].parent, *words(road, *wanted))


def test_the_dense_file_is_found_by_its_name(hydrafy: Invoke, road: Road, tmp_path: Path) -> None:
    given = ("--against", road["static"], "--batch", "1", "--json")
    done = hydrafy("bench", road["lowered"], *given)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["dense"] == str(road["tuned"])
    alone = tmp_path / "net.onnx"
    alone.write_bytes(road["lowered"].read_bytes())
    said = refusal(hydrafy, tmp_path, "bench", alone, *given)
    assert "tuned.onnx, is not beside it" in said and "--dense" in said


def test_a_fitted_model_foresees_times(
    hydrafy: Invoke, road: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(fitting.fit, "__defaults__", (SMALL,))
    before = json.loads(hydrafy("inspect", road["tuned"], "--json").stdout)
    assert before["machine"] == before["foreseen"]["machine"] == "a typical machine"
    assert before["foreseen"]["sizes"][0]["verdict"].startswith("Batch 1: ")
    skipping = json.loads(hydrafy("inspect", road["tuned"], "--json", *rates(0.0)).stdout)
    assert skipping["milliseconds"] < before["milliseconds"]  # what is fitted here has noise in it
    done = hydrafy("bench", "--fit")
    assert done.exit_code == 0, done.stderr
    file = tmp_path / "hydrafy" / "latency.json"
    assert f"wrote {file}" in done.stdout.replace("\n", "")
    times = {}
    for name in ("static", "tuned", "lowered"):
        found = json.loads(hydrafy("inspect", road[name], "--json").stdout)
        assert found["machine"] == processor()
        times[name] = found["milliseconds"]
    assert min(times.values()) > 0
    assert "milliseconds expected" in hydrafy("inspect", road["static"]).stdout
    elsewhere = json.loads(file.read_text()) | {"processor": "another"}
    file.write_text(json.dumps(elsewhere))
    found = json.loads(hydrafy("inspect", road["static"], "--json").stdout)
    assert (found["machine"], found["foreseen"]) == ("a typical machine", None)
    file.write_text("{}")
    said = refusal(hydrafy, tmp_path, "inspect", road["static"])
    assert "latency.json" in said and "bench --fit" in said


def rates(share: float) -> list[str]:
    return [word for b in range(3) for word in ("--rate", f"branches.{b}.picked={share}")]


def test_what_is_benched_has_to_be_named(hydrafy: Invoke, road: Road, tmp_path: Path) -> None:
    assert "--against" in refusal(hydrafy, tmp_path, "bench", road["lowered"])
    assert "leave out" in refusal(hydrafy, tmp_path, "bench", road["lowered"], "--fit")
