"""Making a static network dynamic by a recipe, and saying what that costs and changes."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from hydrafy import recipes
from hydrafy.analysis.cost import Cost, cost, expected
from hydrafy.analysis.images import image_shape
from hydrafy.analysis.need import shares
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Manifest
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes import base
from hydrafy.passes.batchnorm import RestoreBatchNorm
from hydrafy.passes.lower.inference import DropTraining
from hydrafy.recipes.base import NOTHING, Measured
from hydrafy.runtime import data as images_from
from hydrafy.runtime.feed import Opened, opened
from hydrafy.runtime.images import choose
from hydrafy.runtime.measure import check_each_class, class_features, moments
from hydrafy.runtime.read import Source, read
from hydrafy.runtime.verify import TOLERANCE, images

Progress = Callable[[str, int, int], None]
"""Called with what is being measured, after how many images, and of how many."""


@dataclass(frozen=True)
class Report:
    """What a conversion made of a network.

    Attributes:
        source: the cost of the static network.
        executed: the expected cost for one image, training parts left out; parameters and bytes
            count a branch by the share of images for which it runs.
        stored: the cost of all that the file holds.
        divergence: the largest difference of the prediction from the source's over its scale,
            with the run-time inputs neutral where they have such a value.
        preserved: whether that is a rounding error.
        warnings: a sentence each.
    """

    source: Cost
    executed: Cost
    stored: Cost
    divergence: float
    preserved: bool
    warnings: tuple[str, ...]


def convert(
    source: Source,
    recipe: str,
    *,
    data: images_from.Source | None = None,
    restore_batchnorm: images_from.Source | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    watch: base.Watch | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = lambda what, done, total: None,
    **options: Any,
) -> Program:
    """Makes a static network dynamic.

    Args:
        source: an ONNX file, an ONNX model, or a static program, which stays as it is.
        recipe: a recipe's name, as `hydrafy recipes` lists them.
        data: images with labels, as `hydrafy.runtime.data.stream` takes them: classes are then
            grouped by their mean features, instead of by the classifier's rows.
        restore_batchnorm: images, likewise: convolutions into which an exporter folded a
            BatchNormalization get one back, with the statistics of these images.
        mean: of the pixels (0..1), for each channel; the program records it.
        std: their standard deviation.
        watch: called after each pass, for progress.
        say: told how the pixels are normalised.
        progress: called with what is measured, after how many images, and of how many.
        options: the recipe's options, as values or as text.

    Raises:
        OptionError: an unknown recipe or option, or a value that makes no sense.
        FileError: the source or the images cannot be read.
        ModelError: the recipe has no place in this network; it says why. Or there is no
            BatchNormalization to restore.
        DataError: the images do not fit the network, or a class has none.
    """
    chosen = recipes.find(recipe).parse(options)
    program = read(source)
    given, calibration = (
        None if one is None else opened(program, one, labelled=labelled, mean=mean, std=std)
        for one, labelled in ((data, True), (restore_batchnorm, False))
    )
    if given is not None:
        check_each_class(given.stream, dims(program.graph.outputs[0])[-1])
    used = [one for one in (calibration, given) if one is not None]
    for remark in dict.fromkeys(one.remark for one in used if one.remark):
        say(remark)
    program.manifest = _normalised(program, used, mean, std)
    if calibration is not None:
        found = moments(program, calibration.stream, partial(progress, "statistics of layers"))
        base.run(program, [RestoreBatchNorm(found)], watch)
    measured = NOTHING
    if given is not None:
        means = class_features(program, given.stream, partial(progress, "features of classes"))
        measured = Measured(means)
    return base.run(program, chosen.passes(program, measured), watch)


def _normalised(
    program: Program,
    used: Sequence[Opened],
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> Manifest:
    """The manifest, which records what the pixels went through or are to go through."""
    manifest = program.manifest
    known = [one.stream.normalisation for one in used if one.stream.normalisation is not None]
    if mean is not None or std is not None:
        known = [choose(image_shape(program)[0], manifest.normalisation, mean, std)[0]]
    return dataclasses.replace(manifest, normalisation=next(iter(known), manifest.normalisation))


def report(source: Program, program: Program, *, seed: int = 0) -> Report:
    """Measures what a conversion costs and how far it moved the network's function.

    Args:
        source: the static program.
        program: what `convert` made of it.
        seed: of the random probe image.
    """
    before, executed = cost(source), expected(shares(program))
    divergence = _divergence(source, program, np.random.default_rng(seed))
    warnings = []
    if executed.macs >= before.macs:
        warnings.append(
            f"these settings save nothing: {executed.macs / before.macs:.0%} of the source's MACs "
            "run for an image; take fewer or narrower branches, a narrower gate, or a later split"
        )
    return Report(
        before, executed, cost(program), divergence, divergence <= TOLERANCE, tuple(warnings)
    )


def _divergence(source: Program, program: Program, rng: np.random.Generator) -> float:
    probes = images(source, 1, rng)
    prediction = source.graph.outputs[0].name or ""
    neutral = {
        entry.name: np.full_like(program.weight(entry.name), entry.neutral)
        for entry in program.manifest.runtime_inputs
        if entry.neutral is not None
    }
    wanted = Session(source, optimise=False).run(probes, [prediction])[prediction]
    bare = base.run(program.clone(), [DropTraining()])  # less to load
    found = Session(bare, optimise=False).run({**probes, **neutral}, [prediction])[prediction]
    return float(np.abs(wanted - found).max() / max(float(np.abs(wanted).max()), 1e-6))
