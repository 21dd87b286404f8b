"""The table of what is foreseen says on which machine, and why there is no verdict."""

import dataclasses

from rich.console import Console

from hydrafy.report.foresight import foresight
from hydrafy.runtime.foresee import Foreseen, Point, Size

ONE = Size(1, 0.5, 1.0, (Point(0, 1.25), Point(1, 0.25)), 0.25, "Batch 1: faster.")
FOUND = Foreseen("a typical machine", False, 0.5, (ONE,))


def told(found: Foreseen) -> str:
    console = Console(width=120, record=True)
    console.print(foresight(found))
    return console.export_text()


def test_all_of_it_is_told() -> None:
    text = told(FOUND)
    for said in ("one thread of a typical machine (`hydrafy bench --fit`", "1.000", "0.500",
                 "1.250", "0.250", "Batch 1: faster.", "nothing skipped",
                 "all skipped"):  # fmt: skip
        assert said in text
    assert "bench --fit" not in told(dataclasses.replace(FOUND, fitted=True))


def test_what_cannot_be_skipped_is_not_said_to_be() -> None:
    part = dataclasses.replace(ONE, points=(Point(0.189, 1.25), Point(0.5, 1), Point(0.76, 0.25)))
    text = told(dataclasses.replace(FOUND, sizes=(part,)))
    assert "19 % skipped" in text and "76 % skipped" in text
    assert "nothing skipped" not in text and "all skipped" not in text


def test_what_skips_nothing_has_no_columns_for_it() -> None:
    dense = dataclasses.replace(ONE, points=(Point(0.0, 1.25), Point(0.0, 1.25)))
    text = told(dataclasses.replace(FOUND, sizes=(dense,)))
    assert "0.500" in text and "skipped" not in text and "1.250" not in text


def test_why_there_is_no_verdict() -> None:
    alone = dataclasses.replace(ONE, static=None, verdict=None, wins_from=None)
    assert "No verdict" in told(dataclasses.replace(FOUND, sizes=(alone,)))
