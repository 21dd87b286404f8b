"""What `evaluate` finds: plain values, for tables and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hydrafy.ir.manifest import Trained
from hydrafy.runtime.timing import Ratio, Timing


@dataclass(frozen=True)
class Share:
    """A part of a network that not every image needs.

    Attributes:
        conditions: which predicates must hold (`branches.0.picked`), or not (`not sure`).
        share: of the images for which all of them were met.
        macs: of the part, for one image.
    """

    conditions: tuple[str, ...]
    share: float
    macs: int


@dataclass(frozen=True)
class Latency:
    """Milliseconds for one image in a batch of some size, and over those of the first result."""

    milliseconds: Timing
    ratio: Ratio


@dataclass(frozen=True)
class Training:
    """How the decisions of a network changed while it was trained.

    Attributes:
        epochs: their numbers, which begin at 1 in each training.
        rates: for each decision and each of these, how often each choice was made on the training
            images; empty where the network did not have the decision yet, or has it no more.
    """

    epochs: tuple[int, ...]
    rates: Mapping[str, tuple[tuple[float, ...], ...]]

    @staticmethod
    def of(epochs: Sequence[Trained]) -> Training:
        """What a manifest has of each epoch, decision by decision."""
        names = dict.fromkeys(name for epoch in epochs for name in epoch.rates)
        rates = {name: tuple(epoch.rates.get(name, ()) for epoch in epochs) for name in names}
        return Training(tuple(epoch.number for epoch in epochs), rates)


@dataclass(frozen=True)
class Result:
    """One file with one value of its run-time inputs, and one way to run its gates.

    Attributes:
        file: the path, as it was given.
        stage: `source` for a plain ONNX file, `static`, `dynamic` or `lowered`.
        settings: the run-time inputs that were set; the others are at their defaults.
        gates: how gates were run that can be open by chance, as `hydrafy.runtime.evaluate.ways`
            has it: `threshold`, `ensemble=5`; empty where the file has none.
        top1: the share of images whose class has the highest score.
        spread: the standard deviation of `top1` over several runs by chance, of which all else is
            the mean; None for a single run, and for ensembles.
        top5: the share of images whose class has one of the five highest.
        classes: top-1 of each class, in the order of the evaluation's names; None where a class
            has no image.
        macs: what was executed for an image, in all runs of an ensemble, the mean of all images;
            None where it cannot be counted.
        stored_macs: what would be, if nothing were skipped; None where it cannot be counted.
        latencies: by batch size; empty where nothing was timed.
        leaves: the share of images that leave at each exit, the last included; empty in a network
            without early exits.
        leaving: the decisions and predicates that say so, which `decisions` and `predicates` have,
            too: of all images in a dynamic file, in a lowered one of those that get there.
        decisions: how often each choice was made, by the name of the output.
        predicates: how often each predicate held, and each choice was made that no predicate reads.
        class_rates: the same of the images of each class, in the order of the evaluation's names;
            None where a class has no image.
        parts: how often each part ran that not every image needs.
    """

    file: str
    stage: str
    settings: Mapping[str, float | tuple[float, ...]]
    gates: str
    top1: float
    spread: float | None
    top5: float
    classes: tuple[float | None, ...]
    macs: float | None
    stored_macs: int | None
    latencies: Mapping[int, Latency]
    leaves: tuple[float, ...]
    leaving: tuple[str, ...]
    decisions: Mapping[str, tuple[float, ...]]
    predicates: Mapping[str, float]
    class_rates: Mapping[str, tuple[float | None, ...]]
    parts: tuple[Share, ...]


@dataclass(frozen=True)
class Evaluation:
    """Files side by side, on the same images.

    Attributes:
        data: where the images came from.
        images: how many there were.
        damaged: how many more could not be read, and were passed over.
        threads: with which files were timed; 0 if onnxruntime chose.
        seed: of chance.
        names: of the classes; empty where nobody knows them.
        training: how files were trained, by path, where they tell it.
        results: in the order of the files, and of the values that were walked through.
    """

    data: str
    images: int
    damaged: int
    threads: int
    seed: int
    names: tuple[str, ...]
    training: Mapping[str, Training]
    results: tuple[Result, ...]
