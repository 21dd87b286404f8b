"""Fine-tunes a file on images and labels, whose pixels become what the network takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydrafy.analysis.folded import folded
from hydrafy.ir.program import Program
from hydrafy.runtime.feed import opened
from hydrafy.runtime.read import read
from hydrafy.train import finetune as train
from hydrafy.train.history import History, Step


@dataclass(frozen=True)
class Tuned:
    """A program with trained weights.

    Attributes:
        program: what was trained.
        history: how the training went.
        images: how many there were.
        normalisation: whose normalisation the pixels went through; None where they came as floats.
    """

    program: Program
    history: History
    images: int
    normalisation: str | None


def finetune(
    file: str | os.PathLike[str],
    data: str | os.PathLike[str],
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[Step], None] = lambda _: None,
    **options: Any,
) -> Tuned:
    """Trains a file on all loss terms of its manifest; a plain ONNX file is read first.

    Args:
        file: static or dynamic.
        data: an .npz file, a folder of class folders, or `digits`: see `hydrafy.runtime.data`.
        mean: of the pixels (0..1), for each channel, where the file records none.
        std: their standard deviation.
        say: told, as the training begins, how the pixels are normalised, and what would help.
        progress: called after each batch.
        options: of `hydrafy.train.finetune.finetune`.

    Raises:
        FileError: the file or the data cannot be read.
        ModelError: the network cannot be trained.
        DataError: the images or labels do not fit the network.
        OptionError: an option makes no sense, or the training diverged.
    """
    path = Path(file)
    program = Program.load(path)
    if program.stage == "source":
        program = read(path)
    source = opened(program, data, mean=mean, std=std)
    images = source.stream.gather()
    remarks = [remark for remark in (source.remark, _advice(program)) if remark]

    def watch(step: Step) -> None:
        while remarks:  # once the training has begun, so that a refusal stands alone
            say(remarks.pop(0))
        progress(step)

    tuned, history = train.finetune(program, images, progress=watch, **options)
    return Tuned(tuned, history, len(images), source.whose)


def _advice(program: Program) -> str:
    """A sentence for a network most of whose convolutions lack a BatchNormalization."""
    lost = len(folded(program))
    kept = sum(node.op_type == "BatchNormalization" for node in program.graph)
    if lost <= kept:
        return ""
    return (
        f"{lost} convolutions have a bias where a BatchNormalization may have been: such a network "
        "trains better if `hydrafy convert --restore-batchnorm DATA` made it."
    )
