"""The oracle of batches whose images go different ways: each part on exactly the rows it is for.

No static network does that work, for nothing is gathered or scattered: what a part takes on so many
rows is read from profiles of static networks that have all parts between them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hydrafy.analysis.predication.executed import ALWAYS, Conditions, placed
from hydrafy.execute.profile import profile
from hydrafy.ir.program import Program
from hydrafy.runtime.bench.attribution import origin, spellings
from hydrafy.runtime.bench.decided import Decided
from hydrafy.runtime.feed import feed
from hydrafy.train.data import Array

RUNS = 5  # of each profile that count, behind one that warms up


@dataclass(frozen=True, eq=False)
class Parts:
    """Microseconds of each part by how many rows it runs on, as profiled.

    Attributes:
        counts: of rows, ascending, from 0.
        parts: microseconds [counts], by the conditions of the part.
        first: those of the first covering network with all rows, as a whole.
    """

    counts: Array
    parts: Mapping[Conditions, Array]
    first: float

    def share(self, decided: Decided, rows: slice) -> float:
        """What some images need, over the first covering network with as many rows."""
        needed = ((decided.met(part)[rows].sum(), spent) for part, spent in self.parts.items())
        total = sum(float(np.interp(count, self.counts, spent)) for count, spent in needed)
        return total / self.first


def parts(
    dense: Program, nets: Sequence[tuple[Program, set[Conditions]]], images: Array, threads: int
) -> Parts:
    """Profiles each part of a network on 0 to all of the images.

    Args:
        dense: a dynamic program.
        nets: as `covers` found them.
        images: a batch [N, C, H, W].
        threads: of onnxruntime.
    """
    size = len(images)
    counts = sorted({0, size, *(2**i for i in range(size.bit_length())), 3 * size // 4})
    homes = {name: part for node, part in placed(dense) for name in spellings(node)}
    found = {part: np.zeros(len(counts)) for _, here in nets for part in here}
    first = 0.0
    for net, here in nets:
        for place, count in enumerate(counts):
            if not count:
                continue
            spent = _spent(net, homes, images[:count], threads)
            for part in here:
                found[part][place] = spent.get(part, 0.0)
            if net is nets[0][0] and count == size:
                first = sum(spent.values())
    return Parts(np.array(counts), found, first)


def _spent(
    net: Program, homes: Mapping[str, Conditions], images: Array, threads: int
) -> dict[Conditions, float]:
    """Microseconds of each part of a static network, each node's the median of some runs."""
    traces = profile(net, [feed(net, images)] * (RUNS + 1), threads=threads)[1:]
    times = np.median([[e.microseconds for e in one.events] for one in traces], axis=0)
    found: dict[Conditions, float] = {}
    for event, spent in zip(traces[0].events, times.tolist(), strict=True):
        node = origin(event.name, homes)
        part = ALWAYS if node is None else homes[node]
        found[part] = found.get(part, 0.0) + spent
    return found
