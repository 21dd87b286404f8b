"""What an image takes that leaves at an exit: the lowered network, timed at batch 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.runtime.calibrate.budget import NANO
from hydrafy.runtime.calibrate.dial import Settings
from hydrafy.runtime.calibrate.searched import together
from hydrafy.runtime.calibrate.settled import inputs, slots
from hydrafy.runtime.calibrate.table import Table
from hydrafy.runtime.feed import feed, prediction
from hydrafy.runtime.lower import Lowering, unproven
from hydrafy.runtime.timing import Contender, limited
from hydrafy.train.data import Array

SECONDS = 20.0  # for all of it, if some rounds fit in


class Clock:
    """Times a program as `hydrafy lower --batch 1` makes it, on one thread."""

    def __init__(self, program: Program, images: Array) -> None:
        """Lowers it.

        Args:
            program: a dynamic one.
            images: [N, C, H, W], which all are run.
        """
        self._program = program
        self._session = Session(unproven(program, Lowering(single=True)), threads=1)
        self._feeds = [feed(program, image[None]) for image in images]
        self._wanted = [prediction(program).name or ""]

    def costs(
        self,
        settings: Sequence[Settings],
        table: Table,
        counted: Callable[[int, int], None] = lambda done, of: None,
    ) -> Array:
        """Nanoseconds of an image that leaves at an exit, int64 [settings, exits].

        Where the time depends on the image, the mean over images; each one's is the median of its
        repeats.

        Args:
            settings: of gates that are not of exits.
            table: with the program's exits.
            counted: for progress, see `hydrafy.runtime.timing.interleave`.
        """
        own = slots(self._program)
        given = [
            inputs(self._program, own, gates, thresholds, table)
            for gates in settings
            for thresholds in together(table)
        ]
        taken = limited([self._contender(one) for one in given], len(self._feeds), SECONDS, counted)
        means = np.median(taken, axis=1).mean(-1) * NANO
        costs: Array = np.rint(means).astype(np.int64).reshape(len(settings), -1)
        return costs

    def _contender(self, settings: Settings) -> Contender:
        feeds = [{**one, **settings} for one in self._feeds]
        return lambda sample: self._session.run(feeds[sample], self._wanted)
