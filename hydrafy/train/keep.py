"""Where a training run is kept, and whether it begins anew, goes on, or is finished as it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Start = Literal["anew", "resume", "finish"]


@dataclass(frozen=True)
class Keep:
    """How a run is kept.

    Attributes:
        folder: where.
        start: `anew` throws away what an earlier run left there; `resume` goes on with that, if it
            has come to a checkpoint; `finish` trains no further, but takes what it has reached.
        settings: what a run has to agree on before it may go on, as JSON has it.
    """

    folder: Path
    start: Start = "anew"
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
