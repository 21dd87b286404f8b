"""Fine-tuning: from a program, images and labels to the same program with trained weights."""

import dataclasses

import numpy as np
import torch

from hydrafy.analysis.images import axes, image_shape
from hydrafy.errors import DataError, ModelError
from hydrafy.ir.manifest import Entry
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.train.augment import Augmentation
from hydrafy.train.batchnorm import settle
from hydrafy.train.data import Data
from hydrafy.train.exporter import from_torch
from hydrafy.train.fed import Fed
from hydrafy.train.fit import Options, Progress, fit
from hydrafy.train.history import History
from hydrafy.train.importer import to_torch
from hydrafy.train.losses import Losses

SETTLED_ON = 512  # images on which fresh BatchNorms are settled, at most


def finetune(
    program: Program,
    data: Data,
    *,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-4,
    seed: int = 0,
    augment: tuple[Augmentation, ...] = (),
    progress: Progress | None = None,
) -> tuple[Program, History]:
    """Trains a program on all loss terms of its manifest, and notes so in its journal.

    A static program, which has none, is trained on the cross entropy of its first output. If the
    user stops it with Ctrl-C, the weights are those of the last finished epoch.

    Args:
        program: static or dynamic; it is not changed.
        data: what to train on.
        epochs: how many times each image is seen.
        batch_size: images per step.
        learning_rate: AdamW's, after the warm-up.
        weight_decay: AdamW's.
        seed: of the order of images and of augmentation; the same seed gives the same weights.
        augment: `crop`, `flip`, or both.
        progress: called after each batch.

    Raises:
        ModelError: the program is lowered, or dynamic without any loss term.
        DataError: the images or labels do not fit the program.
        OptionError: an option makes no sense, or the training diverged.
    """
    options = Options(epochs, batch_size, learning_rate, weight_decay, seed, augment)
    if program.stage == "dynamic" and not program.manifest.losses:
        raise ModelError("the dynamic network has no loss terms: convert its source again")
    module, losses = to_torch(program), Losses.of(program)
    _check(program, losses, data)
    fed = Fed(module, axes(program))
    if _preserving(program):
        order = np.random.default_rng(seed).permutation(len(data))[:SETTLED_ON]
        settle(fed, torch.split(torch.from_numpy(data.images[order]), batch_size))
    history = fit(fed, losses, data.images, data.labels, options, progress)
    return _noted(from_torch(module), data, history), history


def _preserving(program: Program) -> bool:
    """Whether the program computes what its source computed, so that training should start there.

    Where narrowed parts changed the function, a fresh BatchNorm should rather do its work: it
    brings features of arbitrary scale to one that the head can learn from.
    """
    return any(entry.neutral is not None for entry in program.manifest.runtime_inputs)


def _check(program: Program, losses: Losses, data: Data) -> None:
    if not len(data):
        raise DataError("there are no images to train on")
    takes = image_shape(program)
    if data.images.shape[1:] != takes:
        raise DataError(
            f"the images have the shape {list(data.images.shape[1:])}, but the model takes "
            f"{list(takes)}: load them for this model"
        )
    output = next(v for v in program.graph.outputs if v.name == losses.terms[0].output)
    classes = dims(output)[-1]
    if data.labels.max() >= classes or data.labels.min() < 0:
        raise DataError(
            f"the labels run from {data.labels.min()} to {data.labels.max()}, but the model has "
            f"{classes} classes"
        )


def _noted(program: Program, data: Data, history: History) -> Program:
    manifest = program.manifest
    count = len(history.epochs)
    note = f"{count} {'epoch' if count == 1 else 'epochs'} on {len(data)} images"
    if count:
        first, last = history.epochs[0], history.epochs[-1]
        note += f": loss {first.loss:.4g} to {last.loss:.4g}, training top-1 {last.accuracy:.2%}"
    program.manifest = dataclasses.replace(
        manifest,
        journal=(*manifest.journal, Entry("finetune", (note,))),
        normalisation=manifest.normalisation or data.normalisation,
    )
    return program
