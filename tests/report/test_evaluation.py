"""Tables, CSV and picture of an evaluation: every number has its place, and missing ones none."""

import csv
import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from hydrafy.errors import OptionError
from hydrafy.report.evaluation import evaluation, files, titles
from hydrafy.report.figure import content
from hydrafy.report.heat import heat
from hydrafy.report.plot import plot
from hydrafy.report.rates import rates
from hydrafy.report.sheet import sheet
from hydrafy.runtime.evaluate.evaluation import Evaluation, Latency, Result, Share, Training
from hydrafy.runtime.timing import Ratio, Timing


def result(file: str, top1: float, macs: float | None, **values: object) -> Result:
    given = {
        "stage": "source", "settings": {}, "top5": 0.99, "classes": (0.5, None, 0.25),
        "stored_macs": None, "latencies": {}, "decisions": {}, "predicates": {}, "parts": (),
        "gates": "", "spread": None, "class_rates": {}, "leaves": (), "leaving": (),
    }  # fmt: skip
    return Result(file=file, top1=top1, macs=macs, **{**given, **values})


TIMES = {1: Latency(Timing(1.9, 1.5, 2.5, 3.0, 2.0), Ratio(0.4, 0.25, 0.75, 0.5))}
DYNAMIC = result(
    "b/net.onnx", 0.75, 1e6, settings={"tau": 0.1}, decisions={"sure": (0.25, 0.5)},
    predicates={"sure.0": 0.25}, parts=(Share(("not sure.0", "sure.1"), 0.375, 10),),
    latencies=TIMES,
)  # fmt: skip
FOUND = Evaluation(
    "val", 1000, 2, 1, 0, ("cat", "dog", "eel"), {},
    (result("a/net.onnx", 0.875, 2e6, latencies=TIMES), DYNAMIC),
)  # fmt: skip


def text(found: Evaluation) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(evaluation(found))
    return console.export_text()


def row(found: Evaluation, start: str) -> list[str]:
    return next(line.split() for line in text(found).splitlines() if line.startswith(start))


def test_files_are_named_as_short_as_they_differ() -> None:
    assert files(FOUND) == ["a/net.onnx", "b/net.onnx"]
    other = dataclasses.replace(DYNAMIC, file="b/other.onnx")
    both = dataclasses.replace(FOUND, results=(FOUND.results[0], other, other))
    assert titles(both) == ["net.onnx", "other.onnx tau=0.1", "other.onnx tau=0.1"]


def test_the_table_compares_with_the_first() -> None:
    shown = text(FOUND)
    assert "1,000 images of val; 2 more could not be read; timed on 1 thread" in shown
    assert row(FOUND, "a/net.onnx") == [
        "a/net.onnx", "87.50", "%", "99.00", "%", "2.00", "M", "1.00", "2.000", "0.50",
    ]  # fmt: skip
    assert row(FOUND, "b/net.onnx") == [
        "b/net.onnx", "tau=0.1", "75.00", "%", "-12.5", "points", "99.00", "%", "1.00", "M",
        "0.50", "2.000", "0.50",
    ]  # fmt: skip
    assert "1.500 to 2.500" in shown and "0.25 to 0.75" in shown
    assert "sure: choices made, mean" in shown and "0.75 of 2" in shown
    assert row(FOUND, "sure.0")[-2:] == ["25.0", "%"]
    assert "not sure.0 and sure.1" not in shown  # that is for --json and --csv
    assert "eel 25.0 %, cat 50.0 %" in shown
    assert "dog" not in shown  # it has no image


def test_one_choice_is_told_once() -> None:
    alone = dataclasses.replace(DYNAMIC, decisions={"open": (0.25,)}, predicates={"runs": 0.25})
    assert "open: choices" not in text(dataclasses.replace(FOUND, results=(alone,)))
    unread = dataclasses.replace(alone, predicates={})  # of a file whose MACs cannot be counted
    assert "open: choices made, mean" in text(dataclasses.replace(FOUND, results=(unread,)))


def test_who_leaves_at_exits_is_told_in_their_place() -> None:
    exits = {"leaves": (0.25, 0.125, 0.625), "leaving": ("sure", "sure.0")}
    found = dataclasses.replace(
        FOUND, results=(FOUND.results[0], dataclasses.replace(DYNAMIC, **exits))
    )
    shown = text(found)
    assert row(found, "leave at exit 2 of 3")[-2:] == ["12.5", "%"]
    assert row(found, "leave at exit 3 of 3")[-2:] == ["62.5", "%"]
    assert "sure: choices made" not in shown and "sure.0" not in shown
    _, last = csv.DictReader(io.StringIO(sheet(found)))
    told = [last[f"leave at exit {number}"] for number in (1, 2, 3)]
    assert told == ["0.25", "0.125", "0.625"] and last["held sure.0"] == "0.25"


def test_what_is_not_known_is_not_shown() -> None:
    bare = dataclasses.replace(FOUND, names=(), results=(result("net.onnx", 0.5, None),))
    assert row(bare, "net.onnx") == ["net.onnx", "50.00", "%", "99.00", "%", "-"]
    assert "timed" not in text(bare)
    assert "2 25.0 %, 0 50.0 %" in text(bare)


def test_rates_of_many_results_are_left_to_csv() -> None:
    many = dataclasses.replace(FOUND, results=(DYNAMIC,) * 7)
    assert "see --json or --csv" in text(many)
    assert "choices made" not in text(many)


def test_the_table_names_ways_and_spreads() -> None:
    ways = [
        result("net.onnx", 0.5, 1e6, gates="threshold", latencies=TIMES),
        result("net.onnx", 0.75, 1e6, gates="stochastic=5", spread=0.0123, latencies=TIMES),
    ]
    many = dataclasses.replace(FOUND, results=(FOUND.results[0], *ways))
    assert row(many, "a/net.onnx")[:3] == ["a/net.onnx", "87.50", "%"]
    assert row(many, "net.onnx    threshold")[:3] == ["net.onnx", "threshold", "50.00"]
    assert row(many, "net.onnx    stochastic=5")[2:6] == ["75.00", "±", "1.23", "%"]
    assert titles(many) == ["a/net.onnx", "net.onnx threshold", "net.onnx stochastic=5"]
    alone = dataclasses.replace(FOUND, results=(FOUND.results[0], ways[0]))
    assert titles(alone) == ["a/net.onnx", "net.onnx"]
    first, _, last = csv.DictReader(io.StringIO(sheet(many)))
    assert (first["gates"], first["top1 spread"]) == ("", "")
    assert (last["gates"], last["top1 spread"]) == ("stochastic=5", "0.0123")


def test_a_sheet_has_all_columns_of_all_rows() -> None:
    first, second = csv.DictReader(io.StringIO(sheet(FOUND)))
    assert (first["file"], first["set tau"], first["macs"]) == ("a/net.onnx", "", "2000000.0")
    assert (second["set tau"], second["held sure.0"]) == ("0.1", "0.25")
    assert (second["chosen sure[1]"], second["ran not sure.0 and sure.1"]) == ("0.5", "0.375")
    assert (second["ms batch 1"], second["ms batch 1 low"]) == ("2.0", "1.5")
    assert (second["ratio batch 1"], second["ratio batch 1 high"]) == ("0.5", "0.75")
    assert (second["top1 cat"], second["top1 dog"], second["top1 eel"]) == ("0.5", "", "0.25")
    assert first["held sure.0"] == ""


def test_a_picture_has_a_panel_for_macs_and_for_each_batch_size() -> None:
    pytest.importorskip("matplotlib")
    axes = plot(FOUND).axes
    assert [axis.get_xlabel() for axis in axes] == [
        "million MACs of one image",
        "ms of one image, batch 1",
    ]
    assert [line.get_xydata().tolist() for line in axes[0].lines] == [[[2, 87.5]], [[1, 75]]]


def test_a_line_joins_the_values_of_one_way() -> None:
    pytest.importorskip("matplotlib")
    ways = ("threshold", "threshold", "ensemble=5")
    results = [
        result("net.onnx", 0.5, 1e6 * n, gates=way, latencies=TIMES)
        for n, way in enumerate(ways, 1)
    ]
    lines = plot(dataclasses.replace(FOUND, results=(FOUND.results[0], *results))).axes[0].lines
    assert [line.get_label() for line in lines] == [
        "a/net.onnx", "net.onnx threshold", "net.onnx ensemble=5",
    ]  # fmt: skip
    assert [len(line.get_xdata()) for line in lines] == [1, 2, 1]


def test_a_heat_map_has_a_column_for_each_predicate() -> None:
    pytest.importorskip("matplotlib")
    rates = {"a.runs": (0.5, None, 1.0), "b.runs": (0.0, None, 0.25)}
    one = result("b.onnx", 0.5, None, class_rates=rates, gates="threshold")
    other = dataclasses.replace(one, gates="stochastic=5")
    figure = heat(dataclasses.replace(FOUND, results=(FOUND.results[0], one, other)))
    first, second, _bar = figure.axes
    assert (first.get_title(), second.get_title()) == ("b.onnx threshold", "b.onnx stochastic=5")
    (image,) = first.images
    shown = np.ma.filled(image.get_array().astype(float), np.nan)
    np.testing.assert_array_equal(shown, [[0.5, 0.0], [np.nan, np.nan], [1.0, 0.25]])
    assert [label.get_text() for label in first.get_xticklabels()] == [*rates]
    assert [label.get_text() for label in first.get_yticklabels()] == ["cat", "dog", "eel"]
    with pytest.raises(OptionError, match="no file decides anything"):
        heat(dataclasses.replace(FOUND, results=(FOUND.results[0],)))


def test_rates_of_training_are_lines_over_all_epochs() -> None:
    pytest.importorskip("matplotlib")
    training = Training((1, 2, 1), {"a": ((0.5, 0.25), (0.5, 0.5), (0.75,)), "b": ((), (), (1.0,))})
    (axis,) = rates(dataclasses.replace(FOUND, training={"b/net.onnx": training})).axes
    assert axis.get_title() == "b/net.onnx"
    first, second, third, mean, _ = (line.get_ydata() for line in axis.lines)
    np.testing.assert_array_equal(first, [0.5, 0.5, 0.75])
    np.testing.assert_array_equal(second, [0.25, 0.5, np.nan])
    np.testing.assert_array_equal(third, [np.nan, np.nan, 1])
    np.testing.assert_allclose(mean, [0.375, 0.5, 0.875])
    assert axis.lines[-1].get_xdata()[0] == 2.5  # where the second training begins
    with pytest.raises(OptionError, match="no file tells of its training"):
        rates(FOUND)


@pytest.mark.parametrize(("name", "start"), [("a.PNG", b"\x89PNG"), ("a.pdf", b"%PDF")])
def test_a_figure_is_a_file_of_its_ending(name: str, start: bytes) -> None:
    pytest.importorskip("matplotlib")
    assert content(plot(FOUND), Path(name)).startswith(start)


def test_nothing_to_draw_over() -> None:
    pytest.importorskip("matplotlib")
    bare = dataclasses.replace(FOUND, results=(result("net.onnx", 0.5, None),))
    with pytest.raises(OptionError, match="nothing to draw accuracy over"):
        plot(bare)
