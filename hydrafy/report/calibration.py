"""Thresholds for a budget, and the whole curve of accuracy over cost, as tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from hydrafy.report.numbers import count, percent
from hydrafy.report.tables import MANY, pairs, table

if TYPE_CHECKING:
    from hydrafy.runtime.calibrate.calibration import Calibration, Point, Unit


def calibration(found: Calibration) -> RenderableType:
    """Facts, the thresholds before and now, how the rules do on unseen images, and the curve."""
    facts = {"images": f"{found.images:,} of {found.data}"}
    if found.damaged:
        facts["unreadable images, left out"] = str(found.damaged)
    facts["if nothing is skipped"] = cost(found.whole, found.unit)
    facts["budget"] = cost(found.budget, found.unit)
    return Group(
        pairs(facts),
        Text(),
        _rules(found),
        Text(),
        *([_answers(found), Text()] if len(found.answers) > 1 else []),
        _thresholds(found),
        Text(),
        _curve(found),
    )


def cost(number: float, unit: Unit) -> str:
    """What an image costs: `20.31 M MACs`, `1.234 ms`."""
    return f"{count(number)} MACs" if unit == "MACs" else f"{number:.3f} ms"


def _rules(found: Calibration) -> RenderableType:
    """What is written, and how well its like do on images that did not choose them."""
    rows = [
        (name, _fine(one.top1), cost(one.cost, found.unit), f"{one.cost / found.whole:.3f}")
        for name, one in (
            ("the file's thresholds", found.before),
            ("the chosen ones", found.chosen),
            ("half chooses, half judges: search", found.held_out),
            ("half chooses, half judges: the paper's rule", found.held_out_paper),
        )
        if one is not None
    ]
    return table(("", "top-1", "cost of an image", "of the whole"), rows, numbers=3)


def _answers(found: Calibration) -> RenderableType:
    """What each exit says, if all images leave there."""
    rows = [
        (
            str(number),
            _fine(one.top1),
            cost(one.cost, found.unit),
            f"{one.share:.3f}",
            "-" if one.agreement is None else f"{one.agreement:.3f}",
        )
        for number, one in enumerate(found.answers, 1)
    ]
    headings = ("if all left at exit", "top-1", "cost of an image", "of the whole", "ranks alike")
    return table(headings, rows, numbers=4)


def _thresholds(found: Calibration) -> RenderableType:
    rows = (
        (name, _numbers(found.before.settings[name]), _numbers(values))
        for name, values in found.chosen.settings.items()
    )
    return table(("threshold", "before", "now"), rows)


def _curve(found: Calibration) -> RenderableType:
    """A row for each point, at the least budget for it; the paper's columns only with exits."""
    exits = len(found.chosen.leaves) > 1
    headings = ["budget", "cost of an image", "of the whole", "top-1"]
    headings += ["the paper's rule", "of the whole", "leave at exits"] if exits else []
    rows = []
    steps = {
        tuple((p.top1, p.cost) for p in (step.best, step.paper) if p is not None): step
        for step in reversed(found.curve)
    }
    for step in reversed(steps.values()):
        best = step.best
        row = [cost(step.budget, found.unit), cost(best.cost, found.unit)]
        row += [f"{best.share:.3f}", _fine(best.top1)]
        row += [*_paper(step.paper), _shares(best.leaves)] if exits else []
        rows.append(row)
    return table(headings, rows, numbers=len(headings))


def _paper(point: Point | None) -> tuple[str, str]:
    return ("-", "-") if point is None else (_fine(point.top1), f"{point.share:.3f}")


def _fine(share: float) -> str:
    return f"{100 * share:.2f} %"


def _shares(leaves: Iterable[float]) -> str:
    return " ".join(percent(share).removesuffix(" %") for share in leaves) + " %"


def _numbers(values: tuple[float, ...]) -> str:
    """All of a few numbers; how far they reach where they are many."""
    if len(set(values)) == 1:
        return f"{values[0]:.4g}"
    if len(values) > MANY:
        return f"{min(values):.4g} to {max(values):.4g}"
    return " ".join(f"{value:.4g}" for value in values)
