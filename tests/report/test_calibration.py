"""The curve of a calibration has each point once."""

import io

from rich.console import Console

from hydrafy.report.calibration import calibration
from hydrafy.runtime.calibrate.calibration import Calibration, Point, Step


def point(cost: float, top1: float, leaves: tuple[float, ...] = (1.0,)) -> Point:
    return Point(cost, cost / 10e6, top1, leaves, {"tau": (0.5,)})


def rows(*steps: Step) -> list[list[str]]:
    """The cells of the curve, cut at spaces."""
    found = Calibration(
        "net.onnx", "val", 100, 0, "MACs", 10e6, 5e6, (), steps[0].best, steps[1].best,
        steps, (), None, None,
    )  # fmt: skip
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(calibration(found))
    _, _, curve = console.export_text().rpartition("threshold ")
    return [line.split() for line in curve.splitlines() if "MACs" in line]


def test_what_the_rule_of_the_paper_reaches_is_not_left_out() -> None:
    best = point(6e6, 0.75, (0.5, 0.5))
    papers = [None, point(5e6, 0.5), point(5e6, 0.5), point(6e6, 0.625)]
    told = rows(*(Step(budget * 1e6, best, paper) for budget, paper in enumerate(papers, 6)))
    assert [(row[0], row[9]) for row in told] == [
        ("6.00", "-"),
        ("7.00", "50.00"),
        ("9.00", "62.50"),
    ]


def test_equal_points_of_the_curve_are_one_row_at_the_least_budget() -> None:
    points = [(4, 0.5), (4, 0.5), (6, 0.5), (6, 0.75), (9, 0.75), (9, 0.75)]
    steps = [
        Step(budget * 1e6, point(cost * 1e6, top1), None)
        for budget, (cost, top1) in enumerate(points, 4)
    ]
    told = [(row[0], row[3], row[7]) for row in rows(*steps)]
    assert told == [
        ("4.00", "4.00", "50.00"), ("6.00", "6.00", "50.00"), ("7.00", "6.00", "75.00"),
        ("8.00", "9.00", "75.00"),
    ]  # fmt: skip
