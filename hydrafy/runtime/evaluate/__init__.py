"""Evaluates files side by side on labelled images: accuracy, executed MACs, time, what ran."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import add
from pathlib import Path
from typing import Any

from hydrafy.errors import DataError, OptionError
from hydrafy.runtime import data as images_from
from hydrafy.runtime.evaluate.counts import Counts
from hydrafy.runtime.evaluate.entrant import Entrant, enter
from hydrafy.runtime.evaluate.evaluation import Evaluation, Training
from hydrafy.runtime.evaluate.points import Point, alike, points
from hydrafy.runtime.evaluate.results import result
from hydrafy.runtime.evaluate.sweep import Sweep
from hydrafy.runtime.evaluate.times import latencies
from hydrafy.runtime.evaluate.ways import THRESHOLD, Way, parse
from hydrafy.train.data import BATCH, Damaged

LARGEST = 4096  # images of a batch that is timed: all of them are in memory

Progress = Callable[[str, float, float], None]
File = str | os.PathLike[str]


def evaluate(
    files: File | Sequence[File],
    data: images_from.Source,
    *,
    settings: Mapping[str, Any] | None = None,
    sweep: Sweep | str | None = None,
    gates: Sequence[Way] | str = (THRESHOLD,),
    seed: int = 0,
    batches: Sequence[int] = (1, 32),
    threads: int = 1,
    limit: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = lambda what, done, of: None,
) -> Evaluation:
    """Evaluates files on the same images in onnxruntime.

    Args:
        files: ONNX classifiers of any stage, lowered or not, static ones of others too.
        data: labelled images, as `hydrafy.runtime.data.stream` takes them; of the digits those for
            testing. Images that cannot be read are counted, up to 1 % of all.
        settings: values of run-time inputs, by name, for the files that have them.
        sweep: a run-time input that takes one value after the other, as `tau=0:0.2:0.02`; files
            without it are evaluated once.
        gates: the ways to run gates that can be open by chance, as
            `threshold,always-on,stochastic=5,ensemble=5`; files without such are evaluated once.
            What is set or swept of the input that these gates read is for `threshold` alone.
        seed: of chance: an image meets the same in any batch and any company.
        batches: batch sizes to time at; none for no timing.
        threads: of onnxruntime while it is timed; 0 lets it choose.
        limit: how many images to take, drawn from all; all where None.
        mean: of the pixels (0..1), for each channel, for files that record none.
        std: their standard deviation.
        say: takes sentences for the user.
        progress: called with what is going on, how much of it is done, and of how much.

    Raises:
        FileError: a file or the images cannot be read.
        ModelError: a file is no classifier of images.
        DataError: images or labels do not fit a file, or too many images are damaged.
        OptionError: no file has such a run-time input or such gates, or an option makes no sense.
    """
    paths = [Path(f) for f in ([files] if isinstance(files, str | os.PathLike) else files)]
    if not paths:
        raise OptionError("there is no file to evaluate: name one, or several")
    walk = Sweep.parse(sweep) if isinstance(sweep, str) else sweep
    ways = parse(gates) if isinstance(gates, str) else gates
    if not ways:
        raise OptionError("there is no way to run gates: name one, or several, as threshold")
    _check(batches, threads, limit, seed)
    entrants = []
    for number, path in enumerate(paths):
        progress("reading the files", number, len(paths))
        entrants.append(enter(path, data, mean=mean, std=std))
    if (mean or std) and all(one.program.manifest.normalisation for one in entrants):
        raise DataError("every file records its own normalisation: leave out --mean and --std")
    if not (mean or std):
        entrants = [_like_its_kin(one, entrants, data) for one in entrants]
    every = [*points(entrants, settings or {}, walk, ways, seed)]
    for remark in _remarks(entrants):
        say(remark)
    counted, damaged = _count(every, limit, progress)
    times = latencies(every, tuple(dict.fromkeys(batches)), threads, progress)
    names = entrants[0].classes
    return Evaluation(
        data=entrants[0].stream.name,
        images=int(counted[0][0].images.sum()),
        damaged=damaged,
        threads=threads,
        seed=seed,
        names=names,
        training={
            str(one.file): Training.of(one.program.manifest.trained)
            for one in entrants
            if one.program.manifest.trained
        },
        results=tuple(
            result(point, counts, found, names)
            for point, counts, found in zip(every, counted, times, strict=True)
        ),
    )


def _like_its_kin(one: Entrant, entrants: Sequence[Entrant], data: images_from.Source) -> Entrant:
    """A source that records no normalisation gets that of a file that was made from it."""
    own = one.program.manifest
    if own.normalisation is not None or one.stream.normalisation is None:
        return one
    for kin in (other.program.manifest for other in entrants):
        if kin.normalisation is not None and kin.source_sha256 == own.source_sha256:
            again = enter(one.file, data, mean=kin.normalisation.mean, std=kin.normalisation.std)
            whose = "Normalisation of the pixels: that of the files that were made from it."
            return dataclasses.replace(again, remarks=(whose, *again.remarks[1:]))
    return one


def _check(batches: Sequence[int], threads: int, limit: int | None, seed: int) -> None:
    for size in batches:
        if not 1 <= size <= LARGEST:
            raise OptionError(f"batch size {size} makes no sense: use 1 to {LARGEST}")
    if threads < 0:
        raise OptionError(f"threads = {threads} makes no sense: use 1 or more, or 0 for all cores")
    if limit is not None and limit < 1:
        raise OptionError(f"limit = {limit} makes no sense: use 1 or more images")
    if not 0 <= seed < 2**64:
        raise OptionError(f"seed = {seed} makes no sense: use 0 or more, up to 64 bits")


def _remarks(entrants: Sequence[Entrant]) -> Iterator[str]:
    """What the files have to say, each sentence once, with those that say it if not all do."""
    said: dict[str, list[str]] = {}
    for one in entrants:
        for remark in one.remarks:
            said.setdefault(remark, []).append(str(one.file))
    for remark, files in said.items():
        yield remark if len(files) == len(entrants) else f"{', '.join(files)}: {remark}"


def _count(
    every: Sequence[Point], limit: int | None, progress: Progress
) -> tuple[list[tuple[Counts, ...]], int]:
    """Runs all images: what there is to count of each run, and how many images are damaged.

    Files that take the same images get them from one reading.
    """
    probes = {one: one.probe() for one in {point.entrant: None for point in every}}
    found: dict[Point, tuple[Counts, ...]] = {}
    errors: dict[int, object] = {}
    for group in alike(every):
        stream = group[0].entrant.stream
        damaged, done = Damaged(stream), 0
        rows = range(stream.count) if limit is None else stream.sample(limit)
        size = max(point.entrant.batch or BATCH for point in group)
        for batch in stream.batches(rows, size, damaged):
            for point in group:
                counts = point.count(probes[point.entrant], batch)
                so_far = found.get(point)
                found[point] = tuple(map(add, so_far, counts)) if so_far else counts
            done += len(batch.rows)
            progress(f"evaluating: {done} of {len(rows)} images", done, len(rows))
        errors |= damaged.errors
        if not done:
            raise DataError(
                f"no image of {stream.name} could be read: {next(iter(errors.values()))}"
            )
    return [found[point] for point in every], len(errors)
