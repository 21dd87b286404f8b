"""A contest: a lowered network, the static one that it has to beat, and the dense one behind it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hydrafy.analysis.images import image_shape
from hydrafy.errors import FileError, HydrafyError, ModelError, OptionError
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.runtime import data as images_from
from hydrafy.runtime.anytime import behind
from hydrafy.runtime.batched import batched
from hydrafy.runtime.bench.decided import Decided, decide
from hydrafy.runtime.evaluate.times import pooled
from hydrafy.runtime.feed import judged, opened, prediction
from hydrafy.runtime.run import overrides
from hydrafy.train.data import Array

COMPARED = 8  # images on which the lowered and the dense file must agree
ALIKE = 0.9  # the least correlation of scores: 8-bit files stay above, other networks do not


@dataclass(frozen=True, eq=False)
class Entry:
    """A file, what is in it, and the output with the scores."""

    file: Path
    program: Program
    scores: str


@dataclass(frozen=True, eq=False)
class Contest:
    """Three files that fit each other, and what they are run on.

    Attributes:
        deploy: the lowered network.
        static: what it is measured against.
        dense: the dynamic network that it was lowered from.
        images: [N, C, H, W], as all of them take them.
        data: where these came from.
        noise: whether they are noise.
        feeds: values of run-time inputs.
        decided: what the dense network decides for the images.
    """

    deploy: Entry
    static: Entry
    dense: Entry
    images: Array
    data: str
    noise: bool
    feeds: Mapping[str, Array]
    decided: Decided


def contest(
    deploy: Path,
    against: Path,
    dense: Path | None,
    count: int,
    *,
    source: images_from.Source | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Contest:
    """Reads the files, and refuses those that do not fit each other.

    Args:
        deploy: what `hydrafy lower` wrote.
        against: a static ONNX classifier.
        dense: what `deploy` was lowered from; where None, the file beside it that it names, or
            that is called like it without `deploy`.
        count: how many images to take.
        source: of images, as `hydrafy.runtime.data.stream` takes it; noise where None.
        settings: values of run-time inputs.
        seed: of the noise.
        mean: of the pixels (0..1), for each channel, where the file records none.
        std: their standard deviation.

    Raises:
        FileError: a file cannot be read, or the dense one is not to be found.
        ModelError: a file is of another stage, or they do not fit each other.
        OptionError: there is no such run-time input, or its value is out of range.
        DataError: the images do not fit.
    """
    lowered = _entry(deploy, ("lowered",), "lowered: name what `hydrafy lower` wrote")
    static = _entry(against, ("source", "static"), "static: name the network to be beaten")
    whole = _entry(
        _dense(lowered) if dense is None else dense,
        ("dynamic",),
        "dynamic: name the file that was lowered",
    )
    whole = dataclasses.replace(whole, program=behind(lowered.program, whole.program))
    for other in (static, whole):
        _check_alike(lowered, other)
    feeds = overrides(lowered.program, settings or {})
    if source is None:
        shape = (count, *image_shape(whole.program))
        images = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
        name = f"noise of seed {seed}"
    else:
        given = opened(whole.program, source, labelled=False, mean=mean, std=std, split="test")
        images, name = pooled(given.stream, count), given.stream.name
    _check_same(lowered, whole, images[:COMPARED], feeds)
    decided = decide(whole.program, images, feeds)
    return Contest(lowered, static, whole, images, name, source is None, feeds, decided)


def _entry(file: Path, stages: Sequence[str], wanted: str) -> Entry:
    program = Program.load(file)
    if program.stage not in stages:
        raise ModelError(f"{file} is {program.stage}, but has to be {wanted}")
    try:
        return Entry(file, program, judged(file, program).name or "")
    except HydrafyError as error:
        raise type(error)(f"{file}: {error}") from error


def _dense(deploy: Entry) -> Path:
    """The dynamic file that a lowered one names, or is called after; it lies beside it."""
    file, named = deploy.file, deploy.program.manifest.lowered_from
    usual = f"{file.name.removesuffix('.deploy.onnx')}.onnx"
    places = [file.with_name(Path(name).name) for name in (named, usual) if name]
    beside = next((one for one in places if one.is_file() and one != file), None)
    if beside is None:
        raise FileError(
            f"the dynamic file that {file} was lowered from, {places[0].name}, is not beside it: "
            "name it with --dense, for it tells what work was done"
        )
    return beside


def _check_alike(deploy: Entry, other: Entry) -> None:
    """Refuses files that take or give something else."""
    for what, of in (("takes images", image_shape), ("gives scores", _scores)):
        own, their = (list(of(entry.program)) for entry in (deploy, other))
        if own != their:
            raise ModelError(
                f"{deploy.file} {what} {own}, {other.file} {their}: they do not belong together"
            )


def _scores(program: Program) -> tuple[int, ...]:
    return dims(prediction(program))


def _check_same(deploy: Entry, dense: Entry, images: Array, feeds: Mapping[str, Array]) -> None:
    """Refuses a lowered file that another dynamic network was lowered to."""
    known = {entry.name for entry in dense.program.manifest.runtime_inputs}
    for name in feeds:
        if name not in known:
            raise OptionError(f"{dense.file} has no run-time input {name!r}: name another --dense")
    scores = []
    for entry in (deploy, dense):
        session = Session(entry.program)
        scores.append(batched(session, entry.program, images, feeds, [entry.scores])[entry.scores])
    own, their = (np.ravel(array - array.mean(1, keepdims=True)) for array in scores)
    if not own.any() and not their.any():
        return  # a fresh exit says nothing of the classes
    alike = float(own @ their / (np.linalg.norm(own) * np.linalg.norm(their)))
    if not alike >= ALIKE:
        raise ModelError(
            f"{deploy.file} was not lowered from {dense.file}, for their scores are not alike "
            f"(correlation {alike:.2f}): name the right one with --dense"
        )
