"""How far recalibration moved the statistics of each layer, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from hydrafy.report.tables import pairs, table

if TYPE_CHECKING:
    from hydrafy.runtime.recalibrate import Recalibrated


def recalibration(found: Recalibrated) -> RenderableType:
    """The number of layers and images, and a row for each layer."""
    facts = {"BatchNormalizations": str(len(found.drifts)), "images": f"{found.images:,}"}
    if found.damaged:
        facts["unreadable images, left out"] = str(found.damaged)
    rows = ((d.layer, f"{d.mean:.3f}", f"{d.variance:.3f}") for d in found.drifts)
    headings = ("layer", "mean moved by, in std", "variance changed by factor")
    return Group(pairs(facts), Text(), table(headings, rows, numbers=2))
