"""The way of images into a program: which it takes, how pixels are normalised, how it is fed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hydrafy.analysis.images import axes, image_shape
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.runtime import data
from hydrafy.runtime.data.takes import Takes
from hydrafy.runtime.images import choose
from hydrafy.train.data import Array, Stream


@dataclass(frozen=True, eq=False)
class Opened:
    """Images for a program.

    Attributes:
        stream: the images.
        whose: whose normalisation their pixels go through; None where they come as floats.
        remark: a sentence for the user on that; empty where there is nothing to say.
    """

    stream: Stream
    whose: str | None
    remark: str


def opened(
    program: Program,
    source: data.Source,
    *,
    labelled: bool = True,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Opened:
    """Opens a source of images for a program.

    Args:
        program: whose first output is [N, classes].
        source: as `hydrafy.runtime.data.stream` takes it.
        labelled: whether labels matter.
        mean: of the pixels (0..1), for each channel, where the file records none.
        std: their standard deviation.

    Raises:
        FileError: the source cannot be read.
        ModelError: the program takes something else than images.
        DataError: the images or labels do not fit the program.
    """
    shape = image_shape(program)
    normalisation, whose = choose(shape[0], program.manifest.normalisation, mean, std)
    classes = dims(program.graph.outputs[0])[-1] if labelled else None
    stream = data.stream(source, Takes(shape, classes, normalisation))
    if stream.normalisation is not None:
        return Opened(stream, whose, f"Normalisation of the pixels: {whose}.")
    given = mean is not None or std is not None
    lost = "Images of floats are taken as they stand: --mean and --std do nothing to them."
    return Opened(stream, None, lost if given else "")


def feed(program: Program, images: Array) -> dict[str, Array]:
    """What a session of the program is fed with for images [N, C, H, W]: they get its layout."""
    name = program.data_inputs[0].name or ""
    return {name: np.ascontiguousarray(images.transpose(axes(program)))}
