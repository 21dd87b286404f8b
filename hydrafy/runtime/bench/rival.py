"""Rivals: contenders that run batches of images, and the oracle among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hydrafy.analysis.predication.executed import placed
from hydrafy.execute.session import Model, Session
from hydrafy.ir.program import Program
from hydrafy.runtime.batched import portions
from hydrafy.runtime.bench.contest import Contest
from hydrafy.runtime.bench.oracle import covers, oracle
from hydrafy.runtime.bench.parts import parts
from hydrafy.runtime.timing import Contender, batches
from hydrafy.train.data import Array

ORACLES = 16  # static networks that are kept at once, at most
MEMORY = 1_000_000_000  # bytes of weights that they may have together


@dataclass(frozen=True, eq=False)
class Rival:
    """The oracle: what is run, and by what its times are multiplied for each sample.

    `what` says what it is, in a clause.
    """

    run: Contender
    scale: Array
    what: str


def rival(
    program: Program,
    model: Model,
    scores: str,
    images: Array,
    size: int,
    threads: int,
    feeds: Mapping[str, Array],
    each: Mapping[str, Array] | None = None,
) -> Contender:
    """Runs batches of one size; a file that fixes another size is run on batches of that.

    Args:
        program: what the model is.
        model: what is run.
        scores: the output that is asked for.
        images: all of them, [N, C, H, W].
        size: of a batch.
        threads: of onnxruntime.
        feeds: values of run-time inputs.
        each: values of inputs with a row for each image, by name.
    """
    session = Session(model, threads=threads)
    known = {v.name for v in program.graph.inputs}
    used = {name: value for name, value in feeds.items() if name in known}
    given = {name: batches(rows, size) for name, rows in (each or {}).items()}
    samples = [
        [{**fed, **used} for _, fed in portions(program, part, size)]
        for part in batches(images, size)
    ]
    for name, every in given.items():
        for sample, rows in zip(samples, every, strict=True):
            sample[0][name] = rows

    def run(number: int) -> None:
        for feed in samples[number]:
            session.run(feed, [scores])

    return run


def common(found: Contest) -> Array:
    """The images that take one of the most common ways, as many ways as oracles are kept for."""
    ways, of, counts = _ways(found)
    most = max(1, min(ORACLES, MEMORY // max(found.dense.program.weight_bytes(), 1)))
    kept = np.argsort(-counts, kind="stable")[: min(most, len(ways))]
    return np.flatnonzero(np.isin(of, kept))


def of_ways(found: Contest, rows: Array, size: int, threads: int) -> Rival:
    """The oracle of images one by one, or of batches that all go one way."""
    _, of, _ = _ways(found)
    runs: dict[int, Contender] = {}
    for way in np.unique(of[rows]).tolist():
        row = int(np.flatnonzero(of == way)[0])
        net = oracle(found.dense.program, found.decided.of(row))
        runs[way] = rival(
            net, net, found.dense.scores, found.images[rows], size, threads, found.feeds
        )
    ways = of[rows].tolist()

    def run(number: int) -> None:
        runs[ways[number * size]](number)

    many = f"the {len(runs)} most common decisions, each image its own"
    what = f"the static network of {'the one decision' if len(runs) == 1 else many}"
    return Rival(run, np.ones(len(rows) // size), what)


def of_parts(found: Contest, size: int, threads: int) -> Rival | None:
    """The oracle of mixed batches; None for a network with too many parts that exclude others."""
    nets = covers(found.dense.program)
    if not nets:
        return None
    profiled = parts(found.dense.program, nets, found.images[:size], threads)
    slices = [slice(i, i + size) for i in range(0, len(found.images) - size + 1, size)]
    scale = np.array([profiled.share(found.decided, rows) for rows in slices])
    first = nets[0][0]
    run = rival(first, first, found.dense.scores, found.images, size, threads, found.feeds)
    return Rival(run, scale, "each part on exactly the rows that need it, as profiled")


def one_way(found: Contest) -> bool:
    """Whether all images take the same way through the network."""
    return len(_ways(found)[0]) == 1


def _ways(found: Contest) -> tuple[Array, Array, Array]:
    """The distinct ways through the network, which of them each image goes, how many go it.

    What a predicate says that nobody asks makes no difference.
    """
    every = dict.fromkeys(part for _, part in placed(found.dense.program))
    met = np.stack([found.decided.met(part) for part in every], axis=1)
    ways, of, counts = np.unique(met, axis=0, return_inverse=True, return_counts=True)
    return ways, of.reshape(-1), counts
