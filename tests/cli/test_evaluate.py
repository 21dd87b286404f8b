"""The verb `evaluate`: tables, JSON, CSV and pictures of files side by side; one sentence else."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hydrafy.runtime.evaluate import times
from tests.cli.conftest import Invoke
from tests.cli.test_refusals import refusal

Road = dict[str, Path]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(times, "SECONDS", 0.0)


def answer(hydrafy: Invoke, *words: object) -> Any:
    done = hydrafy("evaluate", *words, "--data", "digits", "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_json_holds_every_file(hydrafy: Invoke, road: Road) -> None:
    files = [road[name] for name in ("static", "tuned", "lowered")]
    found = answer(hydrafy, *files, "--batch", "2,5", "--limit", 40)
    static, tuned, lowered = found["results"]
    assert found["images"] == 40
    assert found["threads"] == 1
    assert [one["stage"] for one in found["results"]] == ["source", "dynamic", "lowered"]
    assert set(lowered["latencies"]) == {"2", "5"}
    assert lowered["latencies"]["2"]["milliseconds"]["median"] > 0
    assert (tuned["top1"], tuned["macs"]) == (lowered["top1"], lowered["macs"])
    assert lowered["macs"] < static["macs"]
    assert len(lowered["classes"]) == 10
    assert len(lowered["decisions"]["picked"]) == 3
    assert set(lowered["predicates"]) == {f"branches.{b}.picked" for b in range(3)}


def test_the_digits_are_those_for_testing(hydrafy: Invoke, road: Road) -> None:
    assert answer(hydrafy, road["static"], "--no-timing")["images"] == 450


def test_the_table_says_what_it_measured(hydrafy: Invoke, road: Road) -> None:
    words = ("--data", "digits", "--limit", 50, "--batch", 4, "--threads", 2)
    done = hydrafy("evaluate", road["static"], road["lowered"], *words)
    assert done.exit_code == 0, done.stderr
    first = done.stdout.splitlines()[0]
    assert "50 images of digits" in first and "2 threads" in first
    for word in ("static.onnx", "lowered.onnx", "top-1", "top-5", "MACs", "ms, batch 4",
                 "branches.0.picked", "choices made, mean", "worst classes"):  # fmt: skip
        assert word in done.stdout
    assert "evaluating: 50 of 50 images" in done.stderr


def test_a_sweep_as_csv_has_a_row_for_each_value(hydrafy: Invoke, road: Road) -> None:
    words = ("--data", "digits", "--sweep", "tau=0:1:0.5", "--no-timing", "--csv", "-")
    done = hydrafy("evaluate", road["static"], road["lowered"], *words)
    assert done.exit_code == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["set tau"] for row in rows] == ["", "0", "0.5", "1"]
    macs = [float(row["macs"]) for row in rows]
    assert macs[0] > macs[1] > macs[3]
    assert rows[0]["held branches.0.picked"] == ""


def test_files_are_written_and_named(hydrafy: Invoke, road: Road, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    sheet, picture = tmp_path / "a.csv", tmp_path / "a.svg"
    words = ("--data", "digits", "--limit", 20, "--batch", 1, "--csv", sheet, "--plot", picture)
    done = hydrafy("evaluate", road["static"], *words)
    assert done.exit_code == 0, done.stderr
    assert f"wrote {sheet}" in done.stdout.replace("\n", "")
    assert sheet.read_text().startswith("file,stage,")
    assert "<svg" in picture.read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "a.svg"]
    said = "exists: name another output with"
    assert f"{said} --csv" in refusal(hydrafy, tmp_path, "evaluate", road["static"], *words)
    sheet.unlink()
    assert f"{said} --plot" in refusal(hydrafy, tmp_path, "evaluate", road["static"], *words)
    assert hydrafy("evaluate", road["static"], *words, "--force").exit_code == 0


@pytest.fixture(scope="module")
def gated(hydrafy: Invoke, road: Road, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The road's network with gates that are open by chance."""
    file = tmp_path_factory.mktemp("gated") / "gated.onnx"
    done = hydrafy("convert", road["static"], "--recipe", "bypass", "-o", file)
    assert done.exit_code == 0, done.stderr
    return file


def test_gates_are_run_in_several_ways(hydrafy: Invoke, road: Road, gated: Path) -> None:
    words = ("--gates", "always-on,stochastic=3,ensemble", "--limit", 60, "--no-timing")
    found = answer(hydrafy, road["static"], gated, *words, "--seed", 4)
    static, opened, stochastic, ensemble = found["results"]
    assert found["seed"] == 4
    assert [one["gates"] for one in found["results"]] == [
        "",
        "always-on",
        "stochastic=3",
        "ensemble=5",
    ]
    assert opened["top1"] == static["top1"]
    assert (opened["spread"], ensemble["spread"]) == (None, None)
    assert stochastic["spread"] >= 0
    assert ensemble["macs"] > 4 * stochastic["macs"] > 0
    rates = stochastic["class_rates"]
    assert [*rates] == [f"gates.stage{number}.runs" for number in (1, 2, 3)]
    assert all(len(shares) == 10 for shares in rates.values())
    assert answer(hydrafy, gated, *words, "--seed", 4)["results"][1] == stochastic
    assert answer(hydrafy, gated, *words, "--seed", 5)["results"][1]["class_rates"] != rates
    done = hydrafy("evaluate", gated, *words, "--data", "digits")
    assert "stochastic=3" in done.stdout and "\N{PLUS-MINUS SIGN}" in done.stdout


def test_a_tuned_file_tells_its_rates(hydrafy: Invoke, road: Road) -> None:
    found = answer(hydrafy, road["static"], road["lowered"], "--limit", 9, "--no-timing")
    ((file, training),) = found["training"].items()
    assert file == str(road["lowered"])
    assert training["epochs"] == [1]
    (shares,) = training["rates"]["picked"]
    assert sum(shares) == pytest.approx(2, abs=1e-3)  # training picks k


def test_pictures_of_classes_and_of_training(hydrafy: Invoke, road: Road, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    words = ("--data", "digits", "--limit", 20, "--no-timing")
    pictures = ("--heat", tmp_path / "h.svg", "--rates", tmp_path / "r.svg")
    done = hydrafy("evaluate", road["lowered"], *words, *pictures)
    assert done.exit_code == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["h.svg", "r.svg"]
    for option in ("--heat", "--rates"):
        done = hydrafy("evaluate", road["static"], *words, option, tmp_path / "x.svg")
        assert done.exit_code == 2
        assert f"so {option} has nothing to draw" in done.stderr.splitlines()[-1]
        assert "top-1" in done.stdout  # what was found is told all the same
    assert not (tmp_path / "x.svg").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "digits"], "FILE..."),
        (["STATIC"], "--data"),
        (["nothing.onnx", "--data", "digits"], "no file nothing.onnx"),
        (["IMAGE", "--data", "digits"], "not an ONNX file"),
        (["STATIC", "--data", "nothing.npz"], "nothing.npz"),
        (["LOWERED", "--data", "digits", "--sweep", "taw=0:1:1"], "did you mean 'tau'?"),
        (["LOWERED", "--data", "digits", "--sweep", "tau=0..1"], "NAME=START:STOP:STEP"),
        (["LOWERED", "--data", "digits", "--sweep", "tau=0:3:1"], "out of range"),
        (["STATIC", "--data", "digits", "--sweep", "tau=0:1:1"], "no file has a run-time input"),
        (["LOWERED", "--data", "digits", "--set", "tau"], "--set NAME=VALUE"),
        (["STATIC", "--data", "digits", "--batch", "1,x"], "batch sizes"),
        (["STATIC", "--data", "digits", "--batch", "0"], "batch size 0"),
        (["STATIC", "--data", "digits", "--batch", "-3"], "batch size -3"),
        (["STATIC", "--data", "digits", "--threads", "-1"], "threads"),
        (["STATIC", "--data", "digits", "--limit", "0"], "limit"),
        (["STATIC", "--data", "digits", "--json", "--csv", "-"], "--json and --csv"),
        (["STATIC", "--data", "digits", "--plot", "a.gif"], ".svg"),
        (["STATIC", "--data", "digits", "--csv", "STATIC", "--force"], "another output with --csv"),
        (["STATIC", "--data", "digits", "--csv", "a.png", "--plot", "a.png"], "name two files"),
        (["STATIC", "--data", "digits", "--heat", "a.png", "--rates", "a.png"], "name two files"),
        (["STATIC", "--data", "digits", "--heat", "a.gif"], ".svg"),
        (["LOWERED", "--data", "digits", "--gates", "by-chance"], "no way to run gates"),
        (["LOWERED", "--data", "digits", "--gates", "ensemble"], "no file has gates that can be"),
        (["LOWERED", "--data", "digits", "--gates", "ensemble=1"], "2 to 1000 runs"),
        (["LOWERED", "--data", "digits", "--seed", "-1"], "seed = -1 makes no sense"),
        (["STATIC", "--data", "digits", "--csv", "no/a.csv"], "no folder no"),
        (["STATIC", "--data", "digits", "--mean", "1,2"], "2 numbers"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input(hydrafy: Invoke, road: Road, words: list[str], said: str) -> None:
    wanted = [str(road[w.lower()]) if w.isupper() else w for w in words]
    assert said in refusal(hydrafy, road["static"].parent, "evaluate", *wanted)


def test_labels_that_do_not_fit(hydrafy: Invoke, road: Road, tmp_path: Path) -> None:
    data = tmp_path / "data.npz"
    np.savez(data, x=np.zeros((2, 1, 16, 16), np.uint8), y=np.array([0, 10]))
    said = refusal(hydrafy, tmp_path, "evaluate", road["static"], "--data", data)
    assert "label 10" in said and "10 classes" in said


def test_a_plot_without_matplotlib(
    hydrafy: Invoke, road: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    words = ("--data", "digits", "--plot", tmp_path / "a.png")
    said = refusal(hydrafy, tmp_path, "evaluate", road["static"], *words)
    assert "pip install 'hydrafy[plots]'" in said
