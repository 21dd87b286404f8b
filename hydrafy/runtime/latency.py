"""How long files take for an image, side by side, on images of the data, for seconds at most."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hydrafy.execute.session import Session
from hydrafy.runtime.batched import portions
from hydrafy.runtime.entrant import Entrant
from hydrafy.runtime.evaluation import Latency
from hydrafy.runtime.timing import Contender, Timing, batches, clock, interleave, ratio, summary
from hydrafy.train.data import Array

IMAGES = 128  # how many different ones are run, or one batch, if that is more
SECONDS = 10.0  # for all contenders at one batch size, as long as FEWEST rounds fit in
FEWEST, MOST = 6, 512  # rounds, in each of which every contender runs one batch


@dataclass(frozen=True, eq=False)
class Timed:
    """One to be timed: a file with some value of its run-time inputs, and images [n, C, H, W]."""

    entrant: Entrant
    session: Session
    feeds: Mapping[str, Array]
    images: Array

    def contender(self, size: int) -> Contender:
        """Runs batches of a size; a file that fixes another size is run on padded ones of that."""
        parts = [
            [given for _, given in portions(self.entrant.program, part, size)]
            for part in batches(self.images, size)
        ]

        def run(sample: int) -> None:
            for given in parts[sample % len(parts)]:
                self.session.run({**given, **self.feeds}, [self.entrant.prediction])

        return run


def latencies(
    timed: Sequence[Timed], size: int, counted: Callable[[int, int], None]
) -> list[Latency]:
    """Times all at one batch size, in turns and warmed up.

    Args:
        timed: who takes part; all have as many images, `size` or more.
        size: images of a batch.
        counted: for progress: how many rounds are done, and of how many.
    """
    contenders = [one.contender(size) for one in timed]
    spent = sum(clock(one, 0) for one in contenders) / 1e3
    rounds = min(max(int(SECONDS / spent), FEWEST), MOST)
    samples = min(len(timed[0].images) // size, rounds // 2)
    taken = interleave(contenders, samples, rounds // samples - 1, 1, counted)
    return [Latency(_of_one(summary(own), size), ratio(own, taken[0])) for own in taken]


def _of_one(timing: Timing, size: int) -> Timing:
    """For one image of a batch."""
    times = (timing.median, timing.low, timing.high, timing.p95)
    return Timing(*(milliseconds / size for milliseconds in times))
