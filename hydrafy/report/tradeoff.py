"""A picture of a calibration: accuracy over the cost of an image, the paper's rule beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hydrafy.runtime.calibrate.calibration import Calibration, Point


def tradeoff(found: Calibration) -> Figure:
    """The curve, the paper's points, the thresholds before and now, and how they do unseen."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axis = figure.subplots()
    axis.plot(*_places([step.best for step in found.curve], found), ".-", label="search")
    if found.paper:
        axis.plot(*_places(found.paper, found), ".--", color="0.5", label="the paper's rule")
    axis.plot(*_places([found.before], found), "s", label="the file's thresholds")
    axis.plot(*_places([found.chosen], found), "o", label="the chosen ones")
    for one, label in (
        (found.held_out, "search, unseen images"),
        (found.held_out_paper, "the paper's rule, unseen images"),
    ):
        if one is not None:
            axis.plot([_scaled(one.cost, found)], [100 * one.top1], "x", label=label)
    axis.axvline(_scaled(found.budget, found), color="0.8", zorder=0)
    axis.set_xlabel("million MACs of one image" if found.unit == "MACs" else "ms of one image")
    axis.set_ylabel("top-1, %")
    axis.set_xlim(left=0)
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def _places(points: Sequence[Point], found: Calibration) -> tuple[list[float], list[float]]:
    return [_scaled(one.cost, found) for one in points], [100 * one.top1 for one in points]


def _scaled(cost: float, found: Calibration) -> float:
    return cost / 1e6 if found.unit == "MACs" else cost
