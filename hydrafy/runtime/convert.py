"""Making a static network dynamic by a recipe, and saying what that costs and changes."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from hydrafy import recipes
from hydrafy.analysis.cost import Cost, cost, expected
from hydrafy.analysis.folded import advice
from hydrafy.analysis.images import image_shape
from hydrafy.analysis.latency import LatencyModel
from hydrafy.analysis.predication.need import shares
from hydrafy.errors import ModelError
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Manifest
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes import base
from hydrafy.passes.batchnorm import RestoreBatchNorm
from hydrafy.passes.lower.inference import DropTraining
from hydrafy.recipes.base import NOTHING, Measured
from hydrafy.runtime import data as images_from
from hydrafy.runtime.feed import Opened, opened, prediction
from hydrafy.runtime.foresee import Foreseen, foresee
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
        reading: the largest difference of the source's prediction from that of the file that it
            was read from, over its scale; None if there is none, or onnxruntime cannot run it.
        divergence: that of the dynamic network's prediction from the source's,
            with the run-time inputs neutral where they have such a value.
        preserved: whether that is a rounding error.
        warnings: a sentence each.
        foreseen: how long it takes, lowered, against the static network.
    """

    source: Cost
    executed: Cost
    stored: Cost
    reading: float | None
    divergence: float
    preserved: bool
    warnings: tuple[str, ...]
    foreseen: Foreseen | None


def convert(
    source: Source,
    recipe: str | Sequence[str],
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
    """Makes a static network dynamic, by one recipe or by several, one after the other.

    Args:
        source: an ONNX file, an ONNX model, or a static program, which stays as it is.
        recipe: a recipe's name, as `hydrafy recipes` lists them, or several.
        data: images with labels, as `hydrafy.runtime.data.stream` takes them: classes are then
            grouped by their mean features, instead of by the classifier's rows.
        restore_batchnorm: images, likewise: convolutions into which an exporter folded a
            BatchNormalization get one back, with the statistics of these images.
        mean: of the pixels (0..1), for each channel; the program records it.
        std: their standard deviation.
        watch: called after each pass, for progress.
        say: told how the pixels are normalised.
        progress: called with what is measured, after how many images, and of how many.
        options: the recipe's options, as values or as text; of several, `{"dynk.k": 4}`.

    Raises:
        OptionError: an unknown recipe or option, or a value that makes no sense.
        FileError: the source or the images cannot be read.
        ModelError: the recipe has no place in this network; it says why. Or there is no
            BatchNormalization to restore.
        DataError: the images do not fit the network, or a class has none.
    """
    chosen = recipes.parse([recipe] if isinstance(recipe, str) else recipe, options)
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
    program.manifest = _recorded(program, used, mean, std)
    if calibration is not None:
        found = moments(program, calibration.stream, partial(progress, "statistics of layers"))
        base.run(program, [RestoreBatchNorm(found)], watch)
    measured = NOTHING
    if given is not None:
        means = class_features(program, given.stream, partial(progress, "features of classes"))
        measured = Measured(means)
    for one in chosen:
        base.run(program, one.passes(program, measured), watch)
    return program


def _recorded(
    program: Program,
    used: Sequence[Opened],
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> Manifest:
    """The manifest, which records what pixels go through, and the names of the classes."""
    manifest = program.manifest
    known = [one.stream.normalisation for one in used if one.stream.normalisation is not None]
    if mean is not None or std is not None:
        known = [choose(image_shape(program)[0], manifest.normalisation, mean, std)[0]]
    names = next((one.stream.classes for one in used if one.stream.classes), manifest.classes)
    normalisation = next(iter(known), manifest.normalisation)
    return dataclasses.replace(manifest, normalisation=normalisation, classes=names)


def report(
    source: Program,
    program: Program,
    *,
    file: str | os.PathLike[str] | None = None,
    latency: LatencyModel | None = None,
    seed: int = 0,
) -> Report:
    """Measures what a conversion costs and how far it moved the network's function.

    Args:
        source: the static program.
        program: what `convert` made of it.
        file: what the static program was read from, to compare the two as well.
        latency: by which time is foreseen; that of a typical machine where None.
        seed: of the random probe image.
    """
    before, executed = cost(source), expected(shares(program))
    probes = images(source, 1, np.random.default_rng(seed))
    wanted = _predicted(source, probes)
    reading, warnings = None, []
    if file is not None:
        try:
            reading = _distance(wanted, _predicted_by_file(file, source, probes))
        except ModelError as error:
            warnings.append(f"what was read could not be compared with {file}: {error}")
    if reading is not None and not reading <= TOLERANCE:
        warnings.append(
            f"what was read differs from {file} by {reading:.1e} of the output's scale: 16-bit, "
            "quantised and training-mode files do; `hydrafy explain` lists what reading changed"
        )
    if executed.macs >= before.macs:
        warnings.append(
            f"these settings save nothing: {executed.macs / before.macs:.0%} of the source's MACs "
            f"run for an image; {_cheaper(program)}"
        )
    made_by = (recipes.find(name) for name in _recipes(program))
    warnings += filter(None, [*(one.remark(source, program) for one in made_by), advice(program)])
    divergence = _distance(wanted, _predicted(program, {**probes, **_neutral(program)}))
    preserved = divergence <= TOLERANCE
    return Report(
        source=before,
        executed=executed,
        stored=cost(program),
        reading=reading,
        divergence=divergence,
        preserved=preserved,
        warnings=tuple(warnings),
        foreseen=foresee(program, source, latency=latency),
    )


def _cheaper(program: Program) -> str:
    """What the recipes of a program advise where nothing is saved."""
    return "; ".join(recipes.find(name).cheaper for name in _recipes(program))


def _recipes(program: Program) -> list[str]:
    """The names of those that it was made by."""
    return [name for name in (program.manifest.recipe or "").split("+") if name]


def _neutral(program: Program) -> dict[str, np.ndarray]:
    """The run-time inputs at the values at which the network computes what its source did."""
    return {
        entry.name: np.full_like(program.weight(entry.name), entry.neutral)
        for entry in program.manifest.runtime_inputs
        if entry.neutral is not None
    }


def _predicted(program: Program, feeds: dict[str, np.ndarray]) -> np.ndarray:
    name = prediction(program).name or ""
    bare = base.run(program.clone(), [DropTraining()]) if program.stage == "dynamic" else program
    return Session(bare, optimise=False).run(feeds, [name])[name]  # once: optimising takes longer


def _predicted_by_file(
    file: str | os.PathLike[str], source: Program, probes: dict[str, np.ndarray]
) -> np.ndarray:
    """The prediction by the user's own file, for the first image where it takes several."""
    session = Session(file, optimise=False)
    feeds = {}
    for (name, shape), array in zip(session.inputs.items(), probes.values(), strict=True):
        rows = shape[0] if isinstance(shape[0], int) else 1
        feeds[name] = np.repeat(array, rows, axis=0).astype(session.types[name])
    output = prediction(source).name or ""
    return session.run(feeds, [output])[output][:1]


def _distance(wanted: np.ndarray, found: np.ndarray) -> float:
    """The largest difference over the scale of what is wanted; singleton dimensions are ignored."""
    scale = max(float(np.abs(wanted).max()), 1e-6)
    return float(np.abs(wanted.ravel() - found.astype(np.float64).ravel()).max() / scale)
