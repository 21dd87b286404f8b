"""A picture of an evaluation: accuracy over executed MACs, and over time at each batch size."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydrafy.errors import OptionError
from hydrafy.report.evaluation import files

if TYPE_CHECKING:
    from hydrafy.runtime.evaluate.evaluation import Evaluation, Result

ENDINGS = (".png", ".svg", ".pdf")


def check(target: Path) -> None:
    """Refuses what could not be drawn, before any work is done.

    Raises:
        OptionError: matplotlib is missing, or the file's ending is that of no picture.
    """
    if target.suffix.lower() not in ENDINGS:
        raise OptionError(f"{target} cannot be drawn: end its name in {', '.join(ENDINGS)}")
    try:
        import matplotlib  # noqa: F401  # only whether it is there
    except ModuleNotFoundError as error:
        raise OptionError("a plot needs matplotlib: pip install 'hydrafy[plots]'") from error


def plot(found: Evaluation, kind: str) -> bytes:
    """The picture.

    Args:
        found: what to draw; the values that a file was walked through are joined by a line.
        kind: `png`, `svg` or `pdf`.

    Raises:
        OptionError: neither time nor MACs are known.
    """
    from matplotlib.figure import Figure

    panels: dict[str, Callable[[Result], float | None]] = {}
    if any(one.macs is not None for one in found.results):
        panels["million MACs of one image"] = lambda one: one.macs and one.macs / 1e6
    for size in found.results[0].latencies:
        panels[f"ms of one image, batch {size}"] = lambda one, size=size: (  # type: ignore[misc]
            one.latencies[size].milliseconds.median
        )
    if not panels:
        raise OptionError("there is nothing to draw accuracy over: leave out --no-timing")
    figure = Figure(figsize=(4.5 * len(panels), 3.6), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (title, of) in zip(axes, panels.items(), strict=True):
        _panel(axis, found, of)
        axis.set_xlabel(title)
    axes[0].set_ylabel("top-1, %")
    axes[0].legend(fontsize="small")
    content = io.BytesIO()
    figure.savefig(content, format=kind)
    return content.getvalue()


def _panel(axis: Any, found: Evaluation, of: Callable[[Result], float | None]) -> None:
    curves: dict[str, list[tuple[float, float]]] = {}
    for name, one in zip(files(found), found.results, strict=True):
        across = of(one)
        if across is not None:
            curves.setdefault(name, []).append((across, 100 * one.top1))
    for name, places in curves.items():
        axis.plot(*zip(*places, strict=True), "o-", markersize=4, label=name)
    axis.set_xlim(left=0)
    axis.grid(alpha=0.3)
