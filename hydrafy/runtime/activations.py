"""How often what a network can skip runs, on images, and how well the network does on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hydrafy.analysis.predication.executed import Work
from hydrafy.analysis.predication.needed import needed
from hydrafy.analysis.predication.predicates import Predicate, predicate
from hydrafy.errors import DataError
from hydrafy.execute.session import Session
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.cut import Cut
from hydrafy.runtime.batched import batched
from hydrafy.runtime.evaluate.counts import ranks
from hydrafy.runtime.feed import prediction
from hydrafy.runtime.spent import spent
from hydrafy.train.data import Array, Damaged, Stream

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Activations:
    """What happened on some images.

    Attributes:
        held: whether the predicates of Selects held, bool [images] by name.
        reached: whether the prediction depended on them, bool [images] by name: not so behind an
            exit that was taken.
        right: how many images got the highest score at their class; None without labels.
        macs: executed for an image, the mean of all.
        images: how many there were.
        damaged: how many more could not be read.
    """

    held: Mapping[str, Array]
    reached: Mapping[str, Array]
    right: int | None
    macs: float
    images: int
    damaged: int

    def activation(self, name: str) -> float | None:
        """How often a predicate held, of the images that got to it; None if there was none."""
        count = int(self.reached[name].sum())
        return int((self.held[name] & self.reached[name]).sum()) / count if count else None

    def agreeing(self, settled: Mapping[str, bool]) -> int:
        """For how many images predicates are what they are settled to, wherever they matter."""
        agree = np.ones(self.images, bool)
        for name, held in settled.items():
            agree &= ~self.reached[name] | (self.held[name] == held)
        return int(agree.sum())


def activations(
    program: Program,
    stream: Stream,
    rows: Sequence[int],
    feeds: Mapping[str, Array],
    progress: Progress,
) -> Activations:
    """Runs images through a static or dynamic program, and watches its predicates.

    Args:
        program: what to run; it is not changed.
        stream: images for it.
        rows: which of them to take.
        feeds: values of run-time inputs; those that the program has not are left out.
        progress: called after each batch: how many images are done, and of how many.

    Raises:
        DataError: too many images cannot be read.
        ModelError: onnxruntime cannot run the network.
    """
    asked, works, scores = _asked(program), spent(program), prediction(program).name or ""
    given = program.graph.initializers
    every = [*asked.values(), *(c.predicate for work in works for c in work.conditions)]
    read = dict.fromkeys(v for one in every for v in one.values if v not in given)
    watched = tuple(dict.fromkeys((scores, *read)))
    probe = base.run(program.clone(), [Cut((), watched)])
    session, damaged = Session(probe), Damaged(stream)
    taken = {v.name for v in probe.graph.inputs}
    fed = {name: array for name, array in feeds.items() if name in taken}
    fixed = {v for one in every for v in one.values if v in given}  # run-time inputs
    settings = {name: feeds.get(name, program.weight(name)) for name in fixed}
    parts: list[tuple[dict[str, Array], dict[str, Array]]] = []
    macs = right = done = 0
    for batch in stream.batches(rows, damaged=damaged):
        size = len(batch.rows)
        found = {**settings, **batched(session, program, batch.images, fed, watched, size)}
        parts.append(_watched(program, asked, found, size))
        macs += _executed(works, found, size)
        if stream.labels is not None:
            right += int((ranks(found[scores], stream.labels[batch.rows]) < 1).sum())
        done += size
        progress(done, len(rows))
    if not done:
        raise DataError(f"no image of {stream.name} could be read")
    held, reached = (
        {name: np.concatenate([part[which][name] for part in parts]) for name in asked}
        for which in (0, 1)
    )
    known = right if stream.labels is not None else None
    return Activations(held, reached, known, macs / done, done, len(damaged))


def _asked(program: Program) -> dict[str, Predicate]:
    """The predicates of Selects, by name."""
    values = (node.inputs[0] for node in program.graph if ops.is_select(node))
    return {v.name or "": predicate(v) for v in values if v is not None}


def _watched(
    program: Program, asked: Mapping[str, Predicate], found: Mapping[str, Array], size: int
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Whether predicates hold, and whether they matter: bool [size] by name."""
    held = {
        name: np.broadcast_to(np.reshape(one.of(found), -1), size) for name, one in asked.items()
    }
    matter = needed(program, held, size)
    rows = {v.name: array for v, array in matter.items()}
    return held, {name: rows.get(name, np.zeros(size, bool)) for name in asked}


def _executed(works: Sequence[Work], found: Mapping[str, Array], size: int) -> int:
    """MACs that are spent for a batch."""
    return sum(work.macs * int(work.runs(found, size).sum()) for work in works)
