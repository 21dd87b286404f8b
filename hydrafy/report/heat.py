"""A picture of what each class needs: predicates over classes, a panel for each result.

Source: Deep networks with probabilistic gates (2018), Figure 8, where a column is a layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hydrafy.errors import OptionError
from hydrafy.report.evaluation import titles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hydrafy.runtime.evaluate.evaluation import Evaluation

ACROSS = 4  # panels in a row
NAMED = 60  # classes or predicates, up to which each is named


def heat(found: Evaluation) -> Figure:
    """The picture; a class without images is left white.

    Raises:
        OptionError: no file has a predicate.
    """
    from matplotlib.figure import Figure

    shown = [
        (name, one.class_rates)
        for name, one in zip(titles(found), found.results, strict=True)
        if one.class_rates
    ]
    if not shown:
        raise OptionError("no file decides anything, so --heat has nothing to draw: leave it out")
    rows, columns = -(-len(shown) // ACROSS), min(len(shown), ACROSS)
    figure = Figure(figsize=(1 + 4 * columns, 1 + 4 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for axis, (name, rates) in zip(axes, shown, strict=False):
        image = _panel(axis, rates, found.names)
        axis.set_title(name, fontsize="small")
    for axis in axes[len(shown) :]:
        axis.remove()
    figure.colorbar(image, ax=figure.axes, label="share of the images for which it holds")
    return figure


def _panel(axis: Any, rates: Mapping[str, tuple[float | None, ...]], names: Sequence[str]) -> Any:
    shares = np.array([*rates.values()], np.float64).T  # None becomes NaN
    if len(rates) <= NAMED:
        axis.set_xticks(range(len(rates)), rates, rotation=90, fontsize="x-small")
    if len(names) <= NAMED:
        axis.set_yticks(range(len(names)), names, fontsize="x-small")
    axis.set_ylabel("class")
    return axis.imshow(shares, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
