"""What a latency model foresees of a dynamic network: its time, and the verdict of a bench."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from hydrafy.analysis.latency import LatencyModel, typical
from hydrafy.analysis.predication.choices import noted_choice
from hydrafy.analysis.predication.executed import Work, work
from hydrafy.analysis.predication.need import shares, stated
from hydrafy.analysis.predication.polarity import Polarity
from hydrafy.analysis.predication.predicates import noted
from hydrafy.analysis.worth import BATCHES, UNKNOWN
from hydrafy.ir.files import sha256
from hydrafy.ir.program import Program
from hydrafy.runtime.bench.verdict import verdict, wins_from
from hydrafy.runtime.lower import unproven
from hydrafy.runtime.read import loaded
from hydrafy.runtime.timing import Ratio

ERROR = 0.1  # of what is foreseen: on held-out networks (docs/performance.md)
RATES = (1.0, 0.75, 0.5, 0.25, 0.0)  # of what a predicate lets run, to see from where on it wins


@dataclass(frozen=True)
class Point:
    """Milliseconds of one image where all predicates let equally much run.

    `skipped` is the share of the MACs that can be skipped.
    """

    skipped: float
    milliseconds: float


@dataclass(frozen=True)
class Size:
    """What is foreseen at one batch size; milliseconds are of one image.

    Attributes:
        batch: images in it.
        milliseconds: of the lowered network, if predicates hold as often as expected.
        static: of the network that it was made from; None where that is not known.
        points: at some rates, what skips least first.
        wins_from: the skipped share from which on it is faster; the least of `points` if always,
            None if never or not known.
        verdict: in a sentence; None where `static` is.
    """

    batch: int
    milliseconds: float
    static: float | None
    points: tuple[Point, ...]
    wins_from: float | None
    verdict: str | None


@dataclass(frozen=True)
class Foreseen:
    """What a model foresees of a dynamic or lowered network, on one thread.

    Attributes:
        machine: for which it is foreseen.
        fitted: whether the model was fitted there, and is not that of a typical machine.
        skipped: the share of the MACs that can be skipped and is expected to be.
        sizes: by batch size.
    """

    machine: str
    fitted: bool
    skipped: float
    sizes: tuple[Size, ...]


def foresee(
    program: Program,
    static: Program | None = None,
    *,
    rates: Mapping[str, float] | None = None,
    latency: LatencyModel | None = None,
) -> Foreseen | None:
    """Foresees what `hydrafy bench` would find; None of a native network, or one not in float32.

    Args:
        program: a lowered program, or a dynamic one, which is lowered for that.
        static: the program that it was made from.
        rates: how often predicates hold, by name; the others hold as often as the file says, and
            where it says nothing, for one half of the images.
        latency: of this machine; that of a typical one where None.

    Raises:
        ModelError: a lowered program does not say when its parts run.
    """
    if program.manifest.precision != "float32" or program.manifest.target == "native":
        return None  # the model is of float32, and of what onnxruntime makes of portable files
    model = latency or typical()
    if program.stage == "dynamic":
        program = unproven(program, latency=model)
    works = work(program)
    likely = {name: (rates or {}).get(name, rate) for name, rate in _expected(program, works)}
    shape = program.data_inputs[0].shape
    fixed = shape[0] if shape is not None else None
    batches = (fixed,) if isinstance(fixed, int) else BATCHES
    skipped = _skipped(works, likely)
    chosen = {name for node in program.graph.all_nodes() for name in _chosen(node)}
    free = likely.keys() - chosen  # one that is chosen holds at any level
    polarity = Polarity.of(works)
    levels = [{**likely, **{p: polarity.of_predicate(p, rate) for p in free}} for rate in RATES]

    def one_image(rates: Mapping[str, float], batch: int) -> float:
        return model.predict(program, shares(program, rates), batch) / batch

    sizes = []
    for batch in batches:
        own = one_image(likely, batch)
        other = model.predict(static, batch=batch) / batch if static is not None else None
        points = sorted(
            (Point(_skipped(works, level), one_image(level, batch)) for level in levels),
            key=lambda point: (point.skipped, -point.milliseconds),
        )
        sizes.append(_size(batch, own, other, points, skipped, forced=bool(free)))
    return Foreseen(model.processor, latency is not None, skipped, tuple(sizes))


def _size(
    batch: int,
    own: float,
    other: float | None,
    points: Sequence[Point],
    skipped: float,
    *,
    forced: bool,
) -> Size:
    if other is None:
        return Size(batch, own, None, tuple(points), None, None)
    over = own / other
    wins = wins_from([(point.skipped, point.milliseconds / other) for point in points])
    ratio = Ratio(over, over * (1 - ERROR), over * (1 + ERROR), over)
    sentence = verdict(batch, ratio, skipped, wins, [p.skipped for p in points] if forced else [])
    return Size(batch, own, other, tuple(points), wins, sentence)


def _expected(program: Program, works: Sequence[Work]) -> Iterator[tuple[str, float]]:
    """How often each predicate that work depends on holds, as lowering noted it on an If."""
    told = {}
    for node in program.graph.all_nodes():
        condition = noted(node)
        share = stated(node) if condition is not None else None
        if condition is not None and share is not None:
            told[condition.predicate.name] = share if condition.holds else 1 - share
        told = {**_chosen(node), **told}  # the outermost If of a tree tells of all
    for name in sorted({c.predicate.name for one in works for c in one.conditions}):
        yield name, told.get(name, UNKNOWN)


def _chosen(node: ir.Node) -> Mapping[str, float]:
    """The predicates that an If of a tree chooses from."""
    choice = noted_choice(node)
    return {} if choice is None else choice.shares({})


def _skipped(works: Sequence[Work], rates: Mapping[str, float]) -> float:
    """The share of the MACs that can be skipped and is, at some rates; 0 where none can be."""
    optional = [one for one in works if one.conditions]
    whole = sum(one.macs for one in optional)
    ran = sum(one.macs * _share(one, rates) for one in optional)
    return 1 - ran / whole if whole else 0.0


def _share(one: Work, rates: Mapping[str, float]) -> float:
    """The share of images that a work is for, if predicates have nothing to do with each other."""
    held = ((rates[c.predicate.name], c.holds) for c in one.conditions)
    return math.prod(rate if holds else 1 - rate for rate, holds in held)


def source_of(program: Program, folder: Path) -> Program | None:
    """The static network that a program was made from, if it lies in a folder, unchanged.

    Raises:
        ModelError: it is there, and cannot be read.
    """
    manifest = program.manifest
    file = folder / manifest.source
    if not file.is_file() or sha256(file) != manifest.source_sha256:
        return None
    return loaded(file)
