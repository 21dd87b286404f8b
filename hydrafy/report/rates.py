"""A picture of how often gates chose while they were trained, epoch by epoch.

Source: Deep networks with probabilistic gates (2018), Figures 10 to 13.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hydrafy.errors import OptionError
from hydrafy.report.evaluation import files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hydrafy.runtime.evaluate.evaluation import Evaluation, Training


def rates(found: Evaluation) -> Figure:
    """The picture: a panel for each file that was trained, a line for each choice.

    Raises:
        OptionError: no file tells of its training.
    """
    from matplotlib.figure import Figure

    if not found.training:
        raise OptionError(
            "no file tells of its training, so --rates has nothing to draw: fine-tune a dynamic "
            "network"
        )
    short = dict(zip((one.file for one in found.results), files(found), strict=True))
    count = len(found.training)
    figure = Figure(figsize=(1 + 4.5 * count, 4), layout="constrained")
    axes = figure.subplots(1, count, sharey=True, squeeze=False)[0]
    for axis, (file, training) in zip(axes, found.training.items(), strict=True):
        _panel(axis, training)
        axis.set_title(short[file], fontsize="small")
    axes[0].set_ylabel("share of the training images")
    axes[0].legend(fontsize="small")
    return figure


def _panel(axis: Any, training: Training) -> None:
    """Lines from the first choice, dark, to the last, bright, and their mean."""
    from matplotlib import colormaps

    lines = [line for shares in training.rates.values() for line in _lines(shares)]
    epochs = range(1, len(training.epochs) + 1)
    for number, line in enumerate(lines):
        axis.plot(epochs, line, color=colormaps["viridis"](number / len(lines)), linewidth=1)
    axis.plot(epochs, np.nanmean(lines, axis=0), color="black", linewidth=2, label="mean")
    for epoch, number in zip(epochs, training.epochs, strict=True):
        if number == 1 < epoch:  # another training
            axis.axvline(epoch - 0.5, color="grey", linestyle=":")
    axis.set_ylim(0, 1)
    axis.set_xlabel("epoch")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.grid(alpha=0.3)


def _lines(shares: tuple[tuple[float, ...], ...]) -> np.ndarray:
    """Of a decision: [choices, epochs], NaN where the network did not have it."""
    choices = max(map(len, shares))
    return np.array([(*one, *(np.nan,) * (choices - len(one))) for one in shares]).T
