"""Fine-tunes a file on images and labels, and keeps the run so that nothing trained is lost."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydrafy.analysis.folded import advice
from hydrafy.errors import OptionError
from hydrafy.ir.values import dims
from hydrafy.runtime import teacher
from hydrafy.runtime.data import Source
from hydrafy.runtime.data.classes import check_trainable
from hydrafy.runtime.data.fingerprint import fingerprint
from hydrafy.runtime.data.held_out import held_out
from hydrafy.runtime.data.joined import joined
from hydrafy.runtime.feed import opened, prediction
from hydrafy.runtime.read import loaded, read
from hydrafy.train.checkpoint import Folder
from hydrafy.train.data import Stream
from hydrafy.train.finetune import Tuned
from hydrafy.train.finetune import finetune as train
from hydrafy.train.history import Epoch, Step
from hydrafy.train.keep import Keep
from hydrafy.train.options import Options
from hydrafy.train.teacher import Distillation, check_distillation
from hydrafy.train.trainer import Watch, silent

READERS = 8  # processes that decode pictures, at most, for each device
SOME = 1000  # pictures for which it pays to start them


@dataclass(frozen=True)
class Teaching:
    """What a network should learn from another one.

    Attributes:
        file: the other one; the source that the network was made from if empty.
        weight: of the term in the loss.
        temperature: at which both are compared.
    """

    file: str = ""
    weight: float = 1.0
    temperature: float = 4.0

    def __post_init__(self) -> None:
        check_distillation(self.weight, self.temperature)


def finetune(
    file: str | os.PathLike[str],
    data: Source,
    options: Options,
    *,
    validation: Source | float | None = None,
    unlabelled: Source | None = None,
    teaching: Teaching | None = None,
    recalibrate: bool = True,
    keep: Keep | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    say: Callable[[str], None] = lambda _: None,
    watch: Watch = silent,
) -> Tuned:
    """Trains a file on all loss terms of its manifest; a plain ONNX file is read first.

    Args:
        file: static or dynamic.
        data: what to train on: see `hydrafy.runtime.data`.
        options: how; without `workers`, pictures are read by some other processes.
        validation: images that tell which epoch is the best; or the share of the training images
            that is held out for it.
        unlabelled: more images, of which only what the other network says of them is learned.
        teaching: what the network should learn from another one besides.
        recalibrate: whether the statistics of BatchNorms are taken again at the end.
        keep: where the run is kept, and how it begins; nowhere if None. What it has to agree on
            with one that it goes on with is added.
        mean: of the pixels (0..1), for each channel, where the file records none.
        std: their standard deviation.
        say: told what a user should know before the training begins.
        watch: told how the training goes.

    Raises:
        FileError: the file or the data cannot be read, or the run cannot be kept.
        ModelError: the network cannot be trained.
        DataError: the images or labels do not fit the network, or too many are damaged.
        OptionError: an option makes no sense, or the training diverged.
    """
    path = Path(file)
    program = loaded(path)
    source = opened(program, data, mean=mean, std=std)
    images = source.stream
    check_trainable(images)
    unseen = None
    if isinstance(validation, int | float):
        images, unseen = held_out(images, validation, options.seed)
    elif validation is not None:
        known = dataclasses.replace(program.manifest, classes=images.classes)
        program.manifest = program.manifest if program.manifest.classes else known
        unseen = opened(program, validation, mean=mean, std=std, split="test").stream
    if unlabelled is not None:
        if teaching is None:
            raise OptionError(
                "images without labels teach nothing without a teacher: use --distill"
            )
        others = opened(program, unlabelled, labelled=False, mean=mean, std=std).stream
        images = joined(images, others)
    distillation = None
    if teaching is not None:
        other = read(teacher.find(program, path.parent, teaching.file))
        classes = dims(prediction(program))[-1]
        probabilities = teacher.says_probabilities(other, images, classes)
        distillation = Distillation(other, teaching.weight, teaching.temperature, probabilities)
    remarks = [source.remark, advice(program), _begun(keep)]

    def told(event: Step | Epoch) -> None:
        while remarks:  # once the training has begun, so that a refusal stands alone
            if remark := remarks.pop(0):
                say(remark)
        watch(event)

    if not options.workers and images.pictures and images.count >= SOME:
        workers = min(READERS, len(os.sched_getaffinity(0)))
        options = dataclasses.replace(options, workers=workers)
    settings = {
        "file": hashlib.sha256(path.read_bytes()).hexdigest(),
        **_settings(options, images, unseen),
        "distillation": None if teaching is None else dataclasses.asdict(teaching),
    }
    if options.compiled:
        say("torch.compile makes kernels first: that takes minutes.")
    return train(
        program,
        images,
        options,
        validation=unseen,
        distillation=distillation,
        recalibrate=recalibrate,
        keep=keep and dataclasses.replace(keep, settings=settings),
        watch=told,
    )


def _settings(options: Options, images: Stream, unseen: Stream | None) -> dict[str, Any]:
    """What two runs have to agree on to be the same; machines and checkpoints are not among it."""
    found: dict[str, Any] = {
        name: getattr(options, name)
        for name in ("seed", "augment", "mixup", "patience", "precision")
    }
    for number, phase in enumerate(options.schedule.phases, 1):
        where = f"phase {number}: " if len(options.schedule.phases) > 1 else ""
        found |= {f"{where}{name}": value for name, value in dataclasses.asdict(phase).items()}
    for what, stream in (("training", images), ("validation", unseen)):
        given = None if stream is None else [stream.name, stream.count]
        found[f"{what} images"] = given
        found[f"normalisation of the {what} images"] = _normalisation(stream)
        found[f"content of the {what} images"] = None if stream is None else fingerprint(stream)
    return found


def _normalisation(stream: Stream | None) -> dict[str, Any] | None:
    used = None if stream is None else stream.normalisation
    return None if used is None else dataclasses.asdict(used)


def _begun(keep: Keep | None) -> str:
    """A sentence on where a run goes on."""
    if keep is None or keep.start == "anew":
        return ""
    if not Folder(keep.folder).begun:
        return f"{keep.folder} holds no run that could go on: this one begins."
    return f"Going on behind epoch {Folder(keep.folder).epochs}."
