"""How long files take for an image, side by side, on images of the data, for seconds at most."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hydrafy.execute.session import Session
from hydrafy.runtime.batched import portions
from hydrafy.runtime.evaluate.evaluation import Latency
from hydrafy.runtime.evaluate.points import Point, alike
from hydrafy.runtime.timing import Contender, batches, limited, ratio, summary
from hydrafy.train.data import Array, Damaged, Stream

IMAGES = 128  # how many different ones are run, or one batch, if that is more
SECONDS = 20.0  # for all contenders at one batch size, if some rounds fit in


def latencies(
    points: Sequence[Point],
    sizes: Sequence[int],
    threads: int,
    progress: Callable[[str, float, float], None],
) -> list[dict[int, Latency]]:
    """Times of each point by batch size; at one size all take turns, and are warmed up.

    Args:
        points: who takes part.
        sizes: of batches.
        threads: of onnxruntime; 0 lets it choose.
        progress: called with what is going on, how much of it is done, and of how much.
    """
    found: list[dict[int, Latency]] = [{} for _ in points]
    if not sizes:
        return found
    images: dict[Point, Array] = {}
    for group in alike(points):
        pool = pooled(group[0].entrant.stream, max(IMAGES, *sizes))
        images |= dict.fromkeys(group, pool)
    sessions = {one: one.session(threads) for one in {point.entrant: None for point in points}}
    for size in sizes:

        def counted(done: int, of: int, size: int = size) -> None:
            progress(f"timing at batch {size}", done, of)

        parts = {point: batches(images[point], size) for point in points}
        contenders = [_contender(p, sessions[p.entrant], parts[p], size) for p in points]
        taken = limited(contenders, len(parts[points[0]]), SECONDS, counted)
        for own, times in zip(found, taken, strict=True):
            own[size] = Latency(summary(times).of_one(size), ratio(times, taken[0]))
    return found


def pooled(stream: Stream, count: int) -> Array:
    """So many images of all classes, mixed; the same ones again where there are too few."""
    rows = np.random.default_rng(0).permutation(stream.sample(count))
    parts = [batch.images for batch in stream.batches(rows, damaged=Damaged(stream))]
    images = np.concatenate(parts)
    return images if len(images) == count else images[np.resize(np.arange(len(images)), count)]


def _contender(point: Point, session: Session, parts: Sequence[Array], size: int) -> Contender:
    """Classifies batches; a file that fixes another size is run on padded ones of that size."""
    program, scores = point.entrant.program, [point.entrant.prediction]
    places = [range(start, start + size) for start in range(0, size * len(parts), size)]
    feeds = [
        [
            {**given, **point.feeds}
            for run in range(point.passes)
            for _, given in portions(program, part, size, point.noise(run, rows))
        ]
        for part, rows in zip(parts, places, strict=True)
    ]

    def run(sample: int) -> None:
        for given in feeds[sample]:
            session.run(given, scores)

    return run
