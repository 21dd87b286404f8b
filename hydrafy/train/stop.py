"""A wish to stop, from Ctrl-C or a scheduler's signal, which training heeds between steps."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import torch

from hydrafy.train.across import processes, total

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Wish:
    """Whether somebody wishes that training stops."""

    def __init__(self) -> None:
        self.uttered = False

    def __call__(self, device: torch.device) -> bool:
        """Whether any process was told to stop; each of them has to ask at the same step."""
        if processes() == 1:
            return self.uttered
        return bool(total(torch.tensor(float(self.uttered), device=device)) > 0)


@contextlib.contextmanager
def wish() -> Iterator[Wish]:
    """Catches Ctrl-C and SIGTERM once; a second one ends the program as it always did."""
    made = Wish()
    if threading.current_thread() is not threading.main_thread():
        yield made  # only there may signals be caught
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def heard(number: int, frame: FrameType | None) -> None:
        made.uttered = True
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in SIGNALS:
        signal.signal(number, heard)
    try:
        yield made
    finally:
        restore()
