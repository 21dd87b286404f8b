"""Fine-tuning: from a program, images and labels to the same program with trained weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import fx

from hydrafy.analysis.images import axes, image_shape
from hydrafy.errors import DataError, ModelError
from hydrafy.ir.manifest import Entry, LossTerm, Trained
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.train.batchnorm import settle
from hydrafy.train.calibration import BATCHES, SIZE, calibration
from hydrafy.train.data import UNKNOWN, Damaged, Stream
from hydrafy.train.exporter import from_torch
from hydrafy.train.fit import fit
from hydrafy.train.history import History, Validation
from hydrafy.train.importer import to_torch
from hydrafy.train.keep import Keep
from hydrafy.train.loader import Examples
from hydrafy.train.losses import Losses
from hydrafy.train.norms import frozen, norms
from hydrafy.train.options import Options
from hydrafy.train.recalibrate import Drift, recalibrated
from hydrafy.train.teacher import Distillation
from hydrafy.train.trainer import Watch, silent
from hydrafy.train.validate import validate

SETTLED_ON = 512  # images on which fresh BatchNorms are settled, at most
DIGITS = 4  # of rates in the manifest, which travels in the file


@dataclass(frozen=True)
class Tuned:
    """A program with trained weights, and how it got them.

    Attributes:
        program: of the best epoch; where training was interrupted, of the last step.
        history: epoch by epoch.
        drifts: how far the statistics of BatchNorms moved when they were taken again at the end.
        validation: of the program as it is now; None without images for it.
    """

    program: Program
    history: History
    drifts: tuple[Drift, ...] = ()
    validation: Validation | None = None


def finetune(
    program: Program,
    images: Stream,
    options: Options,
    *,
    validation: Stream | None = None,
    distillation: Distillation | None = None,
    recalibrate: bool = True,
    keep: Keep | None = None,
    watch: Watch = silent,
) -> Tuned:
    """Trains a program on all loss terms of its manifest, and notes so in its journal.

    A static program, which has none, is trained on the cross entropy of its first output. At the
    end the statistics of BatchNorms are taken again, on the training images, augmented as before.

    Args:
        program: static or dynamic; it is not changed.
        images: what to train on, with labels; of some perhaps only a teacher says what they show.
        options: how.
        validation: images that tell which epoch is the best.
        distillation: what the network should learn from another one besides.
        recalibrate: whether statistics are taken again.
        keep: where the run is kept, and how it begins; nowhere if None.
        watch: told how it goes.

    Raises:
        ModelError: the program is lowered, or dynamic without any loss term.
        DataError: the images or labels do not fit the program, or too many are damaged.
        OptionError: an option makes no sense, or the training diverged.
        FileError: the run cannot be kept, or there is none to go on with.
    """
    if program.stage == "dynamic" and not program.manifest.losses:
        raise ModelError("the dynamic network has no loss terms: convert its source again")
    known = options.schedule.known(program.manifest.groups)
    options = dataclasses.replace(options, schedule=known)
    module, losses = to_torch(program), _losses(program, distillation)
    for stream in (images, validation):
        if stream is not None:
            _check(program, losses, stream)
    if distillation is None and images.labels is not None and (images.labels == UNKNOWN).any():
        raise DataError(
            f"some images of {images.name} have no label, and there is no teacher to tell of them"
        )
    layout = axes(program)
    if any(entry.neutral is not None for entry in program.manifest.runtime_inputs):
        # It computes what its source did, and training should start there. Where narrowed parts
        # changed the function, a fresh BatchNorm should rather do its work, and bring features of
        # arbitrary scale to one that the head can learn from.
        _settle(module, images, layout, options)
    unseen = None if validation is None else Examples(validation, layout)
    decisions = [o.name for o in program.manifest.outputs if o.role == "decision"]
    history = fit(
        module,
        losses,
        Examples(images, layout),
        options,
        validation=unseen,
        decisions=decisions,
        distillation=distillation,
        keep=keep,
        watch=watch,
    )
    tuned = _noted(from_torch(module), images, history)
    if history.interrupted:
        return Tuned(tuned, history)
    drifts: tuple[Drift, ...] = ()
    if recalibrate and norms(module):
        seen = calibration(
            images, Damaged(images), batches=BATCHES, size=SIZE, augment=options.augment
        )
        tuned, drifts = recalibrated(tuned, seen, frozen(module))
    if unseen is None:
        return Tuned(tuned, history, drifts)
    found = validate(
        to_torch(tuned).eval(),
        unseen,
        losses.terms[0].output,
        torch.device("cpu"),
        Damaged(unseen.stream),
        decisions=decisions,
        exits=losses.exits,
        workers=options.workers,
    )
    return Tuned(tuned, history, drifts, found)


def _losses(program: Program, distillation: Distillation | None) -> Losses:
    own = Losses.of(program)
    if distillation is None:
        return own
    settings = {"temperature": distillation.temperature}
    output, weight = own.terms[0].output, distillation.weight
    term = LossTerm("distillation", output, weight, "distillation", settings)
    return Losses((*own.terms, term), own.partition)


def _check(program: Program, losses: Losses, images: Stream) -> None:
    takes = image_shape(program)
    if images.shape != takes:
        raise DataError(
            f"the images of {images.name} have the shape {list(images.shape)}, but the model takes "
            f"{list(takes)}: load them for this model"
        )
    if images.labels is None:
        raise DataError(f"the images of {images.name} have no labels: give images with labels")
    output = next(v for v in program.graph.outputs if v.name == losses.terms[0].output)
    classes = dims(output)[-1]
    known = images.labels[images.labels != UNKNOWN]
    if not len(known):
        raise DataError(f"the images of {images.name} have no labels: give images with labels")
    least, most = known.min(), known.max()
    if most >= classes or least < 0:
        raise DataError(
            f"the labels of {images.name} run from {least} to {most}, but the model has {classes} "
            "classes"
        )


def _settle(
    module: fx.GraphModule, images: Stream, layout: tuple[int, ...], options: Options
) -> None:
    size = options.schedule.phases[0].batch_size
    count = max(1, SETTLED_ON // size)
    seen = calibration(images, Damaged(images), batches=count, size=size, augment=options.augment)
    settle(module, (torch.from_numpy(batch).permute(layout) for batch in seen))


def _noted(program: Program, images: Stream, history: History) -> Program:
    manifest = program.manifest
    count = len(history.epochs)
    note = f"{count} {'epoch' if count == 1 else 'epochs'} on {images.count} images"
    if count:
        first, last = history.epochs[0].step, history.epochs[-1].step
        note += f": loss {first.loss:.4g} to {last.loss:.4g}, training top-1 {last.accuracy:.2%}"
    if history.best and (best := history.epochs[history.best - 1].validation) is not None:
        note += f"; epoch {history.best} was kept, validation top-1 {best.top1:.2%}"
    program.manifest = dataclasses.replace(
        manifest,
        journal=(*manifest.journal, Entry("finetune", (note,))),
        trained=(*manifest.trained, *_rates(history)),
        normalisation=manifest.normalisation or images.normalisation,
        classes=manifest.classes or images.classes,
    )
    return program


def _rates(history: History) -> Iterator[Trained]:
    """How often decisions chose, epoch by epoch; nothing of a network that decides nothing."""
    for step in (epoch.step for epoch in history.epochs):
        rates = {
            name: tuple(round(share, DIGITS) for share in shares)
            for name, shares in step.rates.items()
        }
        if rates:
            yield Trained(step.epoch, rates)
