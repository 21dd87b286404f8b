"""Benches a lowered network: against a static one, its oracle, and itself at given decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from hydrafy.analysis.predication.executed import Work, work
from hydrafy.errors import HydrafyError, OptionError
from hydrafy.execute.profile import profile
from hydrafy.ir.program import Program
from hydrafy.runtime import data as images_from
from hydrafy.runtime.batched import portions
from hydrafy.runtime.bench.attribution import PartTime, Places, times
from hydrafy.runtime.bench.benched import Bench, Forced, Size
from hydrafy.runtime.bench.contest import Contest, contest
from hydrafy.runtime.bench.decided import Decided
from hydrafy.runtime.bench.given import Given, given
from hydrafy.runtime.bench.rival import common, of_parts, of_ways, one_way, rival
from hydrafy.runtime.bench.verdict import verdict, wins_from
from hydrafy.runtime.evaluate.times import IMAGES
from hydrafy.runtime.machine import processor
from hydrafy.runtime.read import read
from hydrafy.runtime.spent import spent
from hydrafy.runtime.timing import Contender, batches, limited, ratio, summary
from hydrafy.train.data import Array

SECONDS = 20.0  # for all contenders at one batch size, if some rounds fit in
WARM_UP, PROFILED = 3, 12  # runs that are profiled
LARGEST = 4096  # images of a batch

Progress = Callable[[str, float, float], None]


def bench(
    deploy: str | Path,
    against: str | Path,
    *,
    dense: str | Path | None = None,
    data: images_from.Source | None = None,
    batches: Sequence[int] = (1, 8, 32),
    threads: int = 1,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    progress: Progress = lambda what, done, of: None,
) -> Bench:
    """Times a lowered network in onnxruntime, in turn with what it is compared with.

    Args:
        deploy: what `hydrafy lower` wrote.
        against: a static ONNX classifier of the same images and classes.
        dense: what `deploy` was lowered from; where None, the file beside it that it names, or
            that is called like it without `deploy`.
        data: images, as `hydrafy.runtime.data.stream` takes them; noise where None.
        batches: batch sizes.
        threads: of onnxruntime; 0 lets it choose.
        settings: values of run-time inputs, by name.
        seed: of the noise, and of decisions that are given.
        mean: of the pixels (0..1), for each channel, where the file records none.
        std: their standard deviation.
        progress: called with what is going on, how much of it is done, and of how much.

    Raises:
        FileError: a file or the images cannot be read.
        ModelError: a file is of another stage, or the files do not fit each other.
        OptionError: an option makes no sense.
        DataError: the images do not fit.
    """
    sizes = tuple(dict.fromkeys(batches))
    _check(sizes, threads, seed)
    progress("reading the files", 0, 0)
    found = contest(
        Path(deploy),
        Path(against),
        None if dense is None else Path(dense),
        max(IMAGES, *sizes),
        source=data,
        settings=settings,
        seed=seed,
        mean=mean,
        std=std,
    )
    _check_fixed(found, sizes)
    branches = found.deploy.program.manifest.target != "dense"
    works = spent((found.dense if branches else found.deploy).program)
    fed, settled = given(found, works, seed)
    decided = found.decided
    means = decided.rows.mean(0).tolist()
    return Bench(
        deploy=str(deploy),
        against=str(against),
        dense=str(found.dense.file),
        data=found.data,
        images=len(found.images),
        noise=found.noise,
        threads=threads,
        settings={name: float(value.flat[0]) for name, value in found.feeds.items()},
        predicates={p.name: m for p, m in zip(decided.predicates, means, strict=True)},
        macs=_macs(works, decided),
        static_macs=_static_macs(found),
        skipped=_skipped(works, decided),
        sizes=tuple(_size(found, size, threads, works, fed, settled, progress) for size in sizes),
        onnxruntime=onnxruntime.__version__,
        processor=processor(),
    )


def _check(sizes: Sequence[int], threads: int, seed: int) -> None:
    if not sizes:
        raise OptionError("there is no batch size to time at: name one, or several")
    for size in sizes:
        if not 1 <= size <= LARGEST:
            raise OptionError(f"batch size {size} makes no sense: use 1 to {LARGEST}")
    if threads < 0:
        raise OptionError(f"threads = {threads} makes no sense: use 1 or more, or 0 for all cores")
    if seed < 0:
        raise OptionError(f"seed = {seed} makes no sense: use 0 or more")


def _check_fixed(found: Contest, sizes: Sequence[int]) -> None:
    """Refuses batch sizes that the lowered file was not made for."""
    shape = found.deploy.program.data_inputs[0].shape
    fixed = shape[0] if shape is not None else None
    for size in sizes:
        if isinstance(fixed, int) and size != fixed:
            raise OptionError(
                f"{found.deploy.file} is made for batches of {fixed}, not of {size}: give --batch "
                f"{fixed}, or lower it for any"
            )


def _macs(works: Sequence[Work], decided: Decided) -> float:
    """Executed for an image, the mean over all."""
    images = len(decided.rows)
    return sum(one.macs * float(one.runs(decided.found, images).mean()) for one in works)


def _skipped(works: Sequence[Work], decided: Decided) -> float:
    """The share of the MACs that can be skipped and are."""
    optional = [one for one in works if one.conditions]
    whole = sum(one.macs for one in optional)
    return 1 - _macs(optional, decided) / whole if whole else 0.0


def _static_macs(found: Contest) -> int | None:
    program = found.static.program
    try:
        static = read(found.static.file) if program.stage == "source" else program
        return sum(one.macs for one in work(static))
    except HydrafyError:
        return None  # a network that hydrafy cannot read is timed all the same


def _size(
    found: Contest,
    size: int,
    threads: int,
    works: Sequence[Work],
    fed: Program,
    settled: Sequence[Given],
    progress: Progress,
) -> Size:
    def doing(what: str) -> Callable[[int, int], None]:
        return lambda done, of: progress(f"{what} at batch {size}", done, of)

    doing("making the oracle")(0, 0)
    single = size == 1 or one_way(found)
    rows = common(found) if single else np.arange(len(found.images))
    if len(rows) < size:
        rows, single = np.arange(len(found.images)), False
    other = of_ways(found, rows, size, threads) if single else of_parts(found, size, threads)
    images, lowered = found.images[rows], found.deploy
    static = found.static

    def at(one: Given) -> Contender:
        chosen = {name: array[rows] for name, array in one.feeds.items()}
        return rival(fed, fed, lowered.scores, images, size, threads, found.feeds, chosen)

    contenders = [
        rival(static.program, static.file, static.scores, images, size, threads, {}),
        rival(lowered.program, lowered.file, lowered.scores, images, size, threads, found.feeds),
        *(at(one) for one in settled),
    ]
    count = len(images) // size
    taken = limited(contenders, count, SECONDS, doing("timing"))
    against_oracle = None
    if other is not None:
        pair = [contenders[1], other.run]
        mine, its = limited(pair, count, SECONDS / 4, doing("timing the oracle"), again=True)
        against_oracle = ratio(mine, its * other.scale[: its.shape[1]])
    first, own = taken[0], taken[1]
    forced_times = taken[len(contenders) - len(settled) :]
    points = sorted(
        (
            Forced(_skipped(works, one.decided), summary(times).of_one(size), ratio(times, first))
            for one, times in zip(settled, forced_times, strict=True)
        ),
        key=lambda point: point.skipped,
    )
    wins = wins_from([(p.skipped, p.ratio.mean) for p in points]) if points else None
    against = ratio(own, first)
    doing("profiling")(0, 0)
    return Size(
        batch=size,
        static=summary(first).of_one(size),
        deploy=summary(own).of_one(size),
        ratio=against,
        oracle=against_oracle,
        oracle_is="" if other is None else other.what,
        forced=tuple(points),
        wins_from=wins,
        parts=_parts(found, images, size, threads),
        verdict=verdict(
            size, against, _skipped(works, found.decided), wins, [p.skipped for p in points]
        ),
    )


def _parts(found: Contest, images: Array, size: int, threads: int) -> tuple[PartTime, ...]:
    """Where the time of the lowered network goes."""
    program = found.deploy.program
    places = Places.of(found.dense.program, program)
    feeds = [
        {**fed, **found.feeds}
        for part in batches(images, size)[:PROFILED]
        for _, fed in portions(program, part, size)
    ]
    every = [feeds[i % len(feeds)] for i in range(PROFILED + WARM_UP)]
    traces = profile(found.deploy.file, every, threads=threads, outputs=[found.deploy.scores])
    return times(traces[WARM_UP:], places)
