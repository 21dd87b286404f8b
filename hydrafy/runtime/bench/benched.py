"""What a bench found: times side by side, what ran, where the time went, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hydrafy.runtime.bench.attribution import PartTime
from hydrafy.runtime.timing import Ratio, Timing


@dataclass(frozen=True)
class Forced:
    """Decisions or their thresholds were given, so that about a part of the work is skipped.

    Attributes:
        skipped: the share of the MACs that can be skipped.
        milliseconds: of one image.
        ratio: over the static network; gates are computed all the same where images get to them.
    """

    skipped: float
    milliseconds: Timing
    ratio: Ratio


@dataclass(frozen=True)
class Size:
    """All that was measured at one batch size; milliseconds are of one image.

    Attributes:
        batch: images in it.
        static: times of the static network.
        deploy: times of the lowered one.
        ratio: deploy over static.
        oracle: deploy over the static network of exactly the work that was done, gates included;
            None where that could not be measured.
        oracle_is: what that was, in a clause.
        forced: at some rates of skipping, the lowest first; empty where decisions cannot be given.
        wins_from: the skipped share from which on it is faster than the static network; the least
            of `forced` if always, None if never or not known.
        parts: where the time of the lowered network goes, profiled.
        verdict: in a sentence.
    """

    batch: int
    static: Timing
    deploy: Timing
    ratio: Ratio
    oracle: Ratio | None
    oracle_is: str
    forced: tuple[Forced, ...]
    wins_from: float | None
    parts: tuple[PartTime, ...]
    verdict: str


@dataclass(frozen=True)
class Bench:
    """A lowered network against a static one.

    Attributes:
        deploy: the lowered file.
        against: the static file.
        dense: the dynamic file that the lowered one was made of.
        data: where the images came from.
        images: how many there were.
        noise: whether they are noise, because none were given.
        threads: of onnxruntime; 0 if it chose.
        settings: run-time inputs that were set.
        predicates: how often each held, by name.
        macs: executed for an image, the mean over all.
        static_macs: of the static network; None where they cannot be counted.
        skipped: the share of the MACs that can be skipped and were.
        sizes: by batch size.
        onnxruntime: its version.
        processor: as the system names it.
    """

    deploy: str
    against: str
    dense: str
    data: str
    images: int
    noise: bool
    threads: int
    settings: Mapping[str, float]
    predicates: Mapping[str, float]
    macs: float
    static_macs: int | None
    skipped: float
    sizes: tuple[Size, ...]
    onnxruntime: str
    processor: str
