"""Recalibrates the BatchNorms of a file on images, whose pixels become what the network takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydrafy.errors import OptionError
from hydrafy.ir.program import Program
from hydrafy.runtime.feed import opened
from hydrafy.runtime.read import loaded
from hydrafy.train.augment import check
from hydrafy.train.calibration import BATCHES, SIZE, calibration
from hydrafy.train.data import Array, Damaged
from hydrafy.train.recalibrate import Drift, recalibrated


@dataclass(frozen=True)
class Recalibrated:
    """A program with new statistics.

    Attributes:
        program: what it was made of.
        drifts: how far the statistics of each layer moved.
        images: how many there were.
        damaged: how many more could not be read.
        normalisation: whose normalisation the pixels went through; None where they came as floats.
    """

    program: Program
    drifts: tuple[Drift, ...]
    images: int
    damaged: int
    normalisation: str | None


def recalibrate(
    file: str | os.PathLike[str],
    data: str | os.PathLike[str],
    *,
    batches: int = BATCHES,
    batch_size: int = SIZE,
    augment: tuple[str, ...] = (),
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Recalibrated:
    """Takes the statistics of all BatchNorms of a file again; a plain ONNX file is read first.

    Each image is used once, so few images are fewer batches. They should be augmented as they were
    in training: see `hydrafy.train.recalibrate`.

    Args:
        file: static or dynamic.
        data: what it was trained on: see `hydrafy.runtime.data`.
        batches: how many, at most.
        batch_size: images in each.
        augment: as in training: see `hydrafy.train.augment`.
        mean: of the pixels (0..1), for each channel, where the file records none.
        std: their standard deviation.
        say: told how the pixels are normalised.
        progress: called after each batch: how many images are done, and of how many.

    Raises:
        FileError: the file or the data cannot be read.
        ModelError: the network has no BatchNormalization, or is lowered.
        DataError: the images do not fit the network, or are too few.
        OptionError: an option makes no sense.
    """
    check(augment)
    if batches < 1:
        raise OptionError(f"batches = {batches} makes no sense: use 1 or more")
    if batch_size < 2:
        raise OptionError(
            f"batch_size = {batch_size} makes no sense, because statistics are taken over a batch: "
            "use 2 or more"
        )
    program = loaded(Path(file))
    source = opened(program, data, labelled=False, mean=mean, std=std)
    if source.remark:
        say(source.remark)
    total, done = min(source.stream.count, batches * batch_size), 0
    damaged = Damaged(source.stream)

    def images() -> Iterator[Array]:
        nonlocal done
        for batch in calibration(
            source.stream, damaged, batches=batches, size=batch_size, augment=augment
        ):
            yield batch
            done += len(batch)
            progress(done, total)

    made, drifts = recalibrated(program, images())
    return Recalibrated(made, drifts, done, len(damaged), source.whose)
