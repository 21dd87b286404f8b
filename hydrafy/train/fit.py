"""Fits a module to images: checks what it is given, and keeps the run in a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import torch
from torch import nn
from torch._dynamo.exc import TorchDynamoException
from torch._inductor.exc import InductorError
from torch.nn.modules.batchnorm import _BatchNorm

from hydrafy.errors import DataError, FileError, OptionError, first_line
from hydrafy.train.checkpoint import Folder
from hydrafy.train.freeze import freeze
from hydrafy.train.history import History
from hydrafy.train.keep import Keep
from hydrafy.train.loader import Examples
from hydrafy.train.losses import Losses
from hydrafy.train.machines import machines
from hydrafy.train.options import Options
from hydrafy.train.stop import wish
from hydrafy.train.teacher import Distillation
from hydrafy.train.trainer import Trainer, Watch, silent


def fit(
    module: nn.Module,
    losses: Losses,
    examples: Examples,
    options: Options,
    *,
    validation: Examples | None = None,
    decisions: Sequence[str] = (),
    distillation: Distillation | None = None,
    keep: Keep | None = None,
    watch: Watch = silent,
) -> History:
    """Trains a module in place, and leaves it in eval mode with the weights of the best epoch.

    The same seed gives the same weights, whatever was drawn from torch's generators before; those
    are left as they were. Each step draws from a seed of its own, so that a run which goes on from
    a checkpoint does what it would have done. After Ctrl-C or SIGTERM the step at hand is finished
    and a checkpoint is written.

    Args:
        module: returns a dict of outputs, the prediction first; or one tensor [N, classes], which
            is then what the first loss term reads.
        losses: what is minimised.
        examples: what is trained on.
        options: how.
        validation: images that tell which epoch is the best; without them it is the last.
        decisions: the names of outputs whose rates are told, bool [N, choices].
        distillation: what a loss term asks for that reads what a teacher says.
        keep: where the run is kept, and how it begins; nowhere if None.
        watch: told how it goes.

    Raises:
        OptionError: a loss term became NaN or infinite; it says which, in which epoch and batch.
            Or an option makes no sense for this module or these images.
        DataError: there is one image only, and a BatchNorm. Or too many images cannot be read.
        FileError: the run cannot be kept, another process is at work on it, or there is none to
            finish.
    """
    if options.patience and validation is None:
        raise OptionError("patience makes no sense without images for validation: name some")
    losses.check(sum(phase.epochs for phase in options.schedule.phases))
    for phase in options.schedule.phases:
        _check_batches(module, len(examples), phase.batch_size)
        freeze(module, phase)  # which refuses patterns that match nothing; not after a day
    folder = None if keep is None else Folder(keep.folder)
    going_on = keep is not None and folder is not None and _goes_on(keep, folder)
    fabric = machines(options)
    gpus = [fabric.device] if fabric.device.type == "cuda" else []
    with contextlib.ExitStack() as held, torch.random.fork_rng(gpus), wish() as stop:
        trainer = Trainer(
            fabric,
            module,
            losses,
            examples,
            options,
            validation,
            tuple(decisions),
            folder,
            watch,
            distillation,
        )
        if folder is not None and fabric.is_global_zero:
            held.enter_context(folder.held())
        if folder is not None and going_on:
            trainer.restore(folder.load(), folder.load_best())
        elif folder is not None and keep is not None and fabric.is_global_zero:
            folder.begin(keep.settings)
        finished = keep is not None and keep.start == "finish"
        try:
            return trainer.end(interrupted=not finished and not trainer.train(stop))
        except (TorchDynamoException, InductorError) as error:
            raise OptionError(
                f"torch.compile fails ({first_line(error)[:200]}): leave out --compile"
            ) from error


def _goes_on(keep: Keep, folder: Folder) -> bool:
    """Whether there is a run to go on with, begun with the same settings."""
    if keep.start == "anew":
        return False
    if folder.begun:
        folder.check(keep.settings)
    elif keep.start == "finish":
        raise FileError(
            f"{keep.folder} holds no run whose weights could be taken: leave out --finish"
        )
    return folder.begun


def _check_batches(module: nn.Module, images: int, size: int) -> None:
    """Refuses batches of one image where statistics are taken over a batch."""
    if min(images, size) > 1 or not any(isinstance(m, _BatchNorm) for m in module.modules()):
        return
    why = "the network has BatchNorms, which take their statistics from a batch"
    if size == 1:
        raise OptionError(f"batch_size = 1 makes no sense, because {why}: use 2 or more")
    raise DataError(f"a single image cannot be trained on, because {why}: give more")
