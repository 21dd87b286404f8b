"""A budget: what an image may cost, in MACs or in milliseconds, the mean of all images."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hydrafy.errors import OptionError
from hydrafy.runtime.calibrate.calibration import Unit

NANO = 1_000_000  # nanoseconds of a millisecond: tables have whole numbers


@dataclass(frozen=True)
class Budget:
    """One of two.

    Attributes:
        share: of the MACs that an image costs if nothing is skipped; above 1, everything.
        milliseconds: of an image at batch 1.

    Raises:
        OptionError: there are both or none, or it is no number above 0.
    """

    share: float | None = None
    milliseconds: float | None = None

    def __post_init__(self) -> None:
        if (self.share is None) == (self.milliseconds is None):
            raise OptionError(
                "a budget is either a share of the MACs or a time: give one of --budget and "
                "--budget-ms"
            )
        name, value = ("budget", self.share) if self.share is not None else ("budget-ms", self._ms)
        if not 0 < value < math.inf:
            raise OptionError(f"--{name} {value:g} makes no sense: it must be a number above 0")

    @property
    def _ms(self) -> float:
        assert self.milliseconds is not None
        return self.milliseconds

    @property
    def unit(self) -> Unit:
        """Of costs, for people."""
        return "ms" if self.share is None else "MACs"

    def cost(self, whole: float) -> float:
        """The budget as tables have costs: in MACs or nanoseconds.

        Args:
            whole: what an image costs if nothing is skipped.
        """
        return self._ms * NANO if self.share is None else self.share * whole

    def told(self, cost: float) -> float:
        """A cost of a table in the unit for people."""
        return cost / NANO if self.share is None else cost

    def as_given(self, cost: float, whole: float) -> str:
        """A cost as the user would name it as a budget, rounded up so that it is one."""
        if self.share is None:
            return f"--budget-ms {math.ceil(cost / NANO * 1e4) / 1e4:g}"
        return f"--budget {math.ceil(cost / whole * 1e4) / 1e4:g}"

    def __str__(self) -> str:
        return f"{self.milliseconds:g} ms" if self.share is None else f"{self.share:g} of the MACs"
