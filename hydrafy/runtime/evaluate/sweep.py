"""A sweep: the values that a run-time input takes, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from hydrafy.errors import OptionError

MOST = 1000  # values


@dataclass(frozen=True)
class Sweep:
    """A run-time input and its values."""

    name: str
    values: tuple[float, ...]

    @staticmethod
    def parse(text: str) -> Sweep:
        """Reads `tau=0:0.2:0.02`: from 0 to 0.2, both included, in steps of 0.02.

        Where no step leads to the end, the end comes as the last value all the same.

        Raises:
            OptionError: the text is no sweep.
        """
        name, _, numbers = text.partition("=")
        words = numbers.split(":")
        wrong = f"the sweep {text!r} makes no sense: write NAME=START:STOP:STEP, as tau=0:0.2:0.02"
        if not name.strip() or len(words) != 3:
            raise OptionError(wrong)
        try:
            start, stop, step = (Decimal(word.strip()) for word in words)
        except InvalidOperation as error:
            raise OptionError(wrong) from error
        if not all(number.is_finite() for number in (start, stop, step)):
            raise OptionError(wrong)
        if step <= 0 or stop < start:
            raise OptionError(
                f"the sweep {text!r} goes nowhere: STEP is above 0, STOP not below START"
            )
        if (stop - start) / step > MOST:
            raise OptionError(f"the sweep {text!r} has over {MOST} values: take a larger step")
        count = int((stop - start) / step)
        values = [start + number * step for number in range(count + 1)]
        values += [stop] if values[-1] != stop else []
        return Sweep(name.strip(), tuple(map(float, values)))
