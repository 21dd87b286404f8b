"""The way of images into a program: which it takes, how pixels are normalised, how it is fed."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.images import axes, image_shape
from hydrafy.errors import HydrafyError, ModelError, OptionError
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.runtime import data
from hydrafy.runtime.data.digits import Split
from hydrafy.runtime.data.takes import Takes
from hydrafy.runtime.images import choose
from hydrafy.runtime.picture import usual_resize
from hydrafy.runtime.read import read
from hydrafy.train.data import Array, Stream


@dataclass(frozen=True, eq=False)
class Opened:
    """Images for a program.

    Attributes:
        stream: the images.
        whose: whose normalisation their pixels go through; None where they come as floats.
        remark: for the user, on that and on how pictures are made to fit; empty where there is
            nothing to say.
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
    split: Split = "train",
    resize: float | None = None,
) -> Opened:
    """Opens a source of images for a program.

    Args:
        program: whose prediction is [N, classes].
        source: as `hydrafy.runtime.data.stream` takes it.
        labelled: whether labels matter.
        mean: of the pixels (0..1), for each channel, where the file records none.
        std: their standard deviation.
        split: the part for training or for testing, of a source that has both.
        resize: of pictures, the shorter side before the middle is cropped, over the network's
            size; where None, as `hydrafy.runtime.picture.usual_resize` says.

    Raises:
        OptionError: `resize` is below 1.
        FileError: the source cannot be read.
        ModelError: the program takes something else than images.
        DataError: the images or labels do not fit the program.
    """
    shape = image_shape(program)
    normalisation, whose = choose(shape[0], program.manifest.normalisation, mean, std)
    classes = dims(prediction(program))[-1] if labelled else None
    larger = usual_resize(shape) if resize is None else resize
    if not 1 <= larger < math.inf:
        raise OptionError(f"resize = {larger} makes no sense: use 1 or more")
    takes = Takes(shape, classes, normalisation, program.manifest.classes, larger)
    stream = data.stream(source, takes, split)
    if stream.normalisation is None:
        given = mean is not None or std is not None
        lost = "Images of floats are taken as they stand: --mean and --std do nothing to them."
        return Opened(stream, None, lost if given else "")
    remarks = [f"Normalisation of the pixels: {whose}."]
    if stream.pictures:
        remarks.append(_fitted(shape, larger))
    return Opened(stream, whose, " ".join(remarks))


def prediction(program: Program) -> ir.Value:
    """The output with the scores of the classes.

    Raises:
        ModelError: there is none.
    """
    role = program.manifest.role
    for value in program.graph.outputs:
        if role(value.name or "") == "prediction":
            return value
    raise ModelError("the network has no output with the scores of classes")


def judged(file: str | os.PathLike[str], program: Program) -> ir.Value:
    """The output with the scores of the classes, of a file as it stands.

    Where a source answers several times it is the last answer, wherever the file has it; the first
    output, if the file cannot be read as more than it stands.

    Args:
        file: an ONNX file.
        program: what is in it.

    Raises:
        ModelError: there is none.
    """
    found = prediction(program)
    if program.stage != "source" or len(program.graph.outputs) == 1:
        return found
    try:
        last = prediction(read(file)).name
    except HydrafyError:
        return found
    return next(value for value in program.graph.outputs if value.name == last)


def feed(program: Program, images: Array) -> dict[str, Array]:
    """What a session of the program is fed with for images [N, C, H, W]: they get its layout."""
    name = program.data_inputs[0].name or ""
    return {name: np.ascontiguousarray(images.transpose(axes(program)))}


def _fitted(shape: tuple[int, int, int], resize: float) -> str:
    _, height, width = shape
    over = f"{round(height * resize)}x{round(width * resize)}"
    rest = "what is over is cut off" if resize == 1 else f"the middle {height}x{width} is kept"
    return f"Pictures are resized to cover {over}, and {rest}."
