"""Figures as files: whether one can be drawn, and what the file holds."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from hydrafy.errors import OptionError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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


def content(figure: Figure, target: Path) -> bytes:
    """What stands in a picture's file, whose ending says of which kind it is."""
    held = io.BytesIO()
    figure.savefig(held, format=target.suffix[1:].lower())
    return held.getvalue()
