"""A picture of an evaluation: accuracy over executed MACs, and over time at each batch size."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from hydrafy.errors import OptionError
from hydrafy.report.evaluation import files, ways

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hydrafy.runtime.evaluate.evaluation import Evaluation, Result


def plot(found: Evaluation) -> Figure:
    """The picture; a line joins the values that a file was walked through, in one way.

    Raises:
        OptionError: neither time nor MACs are known.
    """
    from matplotlib.figure import Figure

    panels: dict[str, Callable[[Result], float | None]] = {}
    if any(one.macs is not None for one in found.results):
        panels["million MACs of one image"] = lambda one: one.macs and one.macs / 1e6
    for size in found.results[0].latencies:
        panels[f"ms of one image, batch {size}"] = lambda one, size=size: (  # type: ignore[misc]
            one.latencies[size].milliseconds.mean
        )
    if not panels:
        raise OptionError("there is nothing to draw accuracy over: leave out --no-timing")
    figure = Figure(figsize=(4.5 * len(panels), 3.6), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (title, of) in zip(axes, panels.items(), strict=True):
        _panel(axis, found, of)
        axis.set_xlabel(title)
    axes[0].set_ylabel("top-1, %")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _panel(axis: Any, found: Evaluation, of: Callable[[Result], float | None]) -> None:
    """Each file has a colour, each way to run its gates a marker."""
    curves: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for name, way, one in zip(files(found), ways(found), found.results, strict=True):
        across = of(one)
        if across is not None:
            curves.setdefault((name, way), []).append((across, 100 * one.top1))
    colours = _each((name for name, _ in curves), [f"C{number}" for number in range(10)])
    markers = _each((way for _, way in curves), "os^Dv*")
    for (name, way), places in curves.items():
        style = {"marker": markers[way], "color": colours[name], "markersize": 4}
        axis.plot(*zip(*places, strict=True), label=f"{name} {way}".strip(), **style)
    axis.set_xlim(left=0)
    axis.grid(alpha=0.3)


def _each(names: Iterable[str], marks: Iterable[str]) -> dict[str, str]:
    """A mark for each name; the first ones again where there are more names."""
    return dict(zip(dict.fromkeys(names), itertools.cycle(marks), strict=False))
