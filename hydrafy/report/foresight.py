"""What a latency model foresees of a network, as a table and the verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from hydrafy.report.tables import table

if TYPE_CHECKING:
    from hydrafy.runtime.foresee import Foreseen, Size


def foresight(found: Foreseen) -> RenderableType:
    """Times of one image by batch size, then a verdict on each."""
    where = found.machine
    if not found.fitted:
        where += " (`hydrafy bench --fit` measures this one)"
    first = found.sizes[0].points
    ends = [0, -1] if first[0].skipped < first[-1].skipped else []
    some = [_skipped(first[place].skipped) for place in ends]
    headings = ("ms of one image, batch", "static", "expected", *some)
    rows = table(headings, (_row(one, ends) for one in found.sizes), numbers=2 + len(ends))
    told = [one.verdict for one in found.sizes if one.verdict is not None]
    told = told or [
        "No verdict: the static network that it was made from is not in its folder, or has changed "
        "since. `hydrafy bench` compares any two."
    ]
    return Group(
        Text(), Text(f"Foreseen for one thread of {where}:"), rows, *(Text(one) for one in told)
    )


def _skipped(share: float) -> str:
    words = {0.0: "nothing", 1.0: "all"}
    return f"{words.get(share, f'{share * 100:.0f} %')} skipped"


def _row(one: Size, ends: Sequence[int]) -> tuple[str, ...]:
    static = "-" if one.static is None else f"{one.static:.3f}"
    times = (one.milliseconds, *(one.points[place].milliseconds for place in ends))
    return (str(one.batch), static, *(f"{ms:.3f}" for ms in times))
