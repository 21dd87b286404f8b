"""Runs a file of any stage on images: the best classes of each, and what was decided for it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hydrafy.analysis.images import image_shape
from hydrafy.analysis.leaving import leavings, left
from hydrafy.errors import ModelError, OptionError, nearest
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import RuntimeInput
from hydrafy.ir.program import Program
from hydrafy.runtime import images
from hydrafy.runtime.batched import batched
from hydrafy.runtime.feed import judged

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Top:
    """A class, its name where the file knows it, its probability, and the network's score."""

    label: int
    name: str | None
    probability: float
    score: float

    @property
    def title(self) -> str:
        """Its name, or else its number."""
        return str(self.label) if self.name is None else self.name


@dataclass(frozen=True)
class Prediction:
    """What a network says of one image.

    Attributes:
        path: the file, and the place in it where it holds several images.
        top: the best classes, best first.
        choices: those that were made, of `Run.choices`.
        left_at: the exit whose answer this is, counted from 1; None in a network without exits.
    """

    path: str
    top: tuple[Top, ...]
    choices: tuple[str, ...]
    left_at: int | None


@dataclass(frozen=True)
class Run:
    """The predictions for all images.

    Attributes:
        predictions: one for each.
        choices: all that the network can make: a decision by its name, `exits.0.sure`, one of
            several by its column, too, `picked[2]`; none where it decides nothing.
        leaving: those of them that let an image leave, or stay, one for each early exit.
        normalisation: what was done to the pixels.
    """

    predictions: tuple[Prediction, ...]
    choices: tuple[str, ...]
    leaving: tuple[str, ...]
    normalisation: str

    @property
    def exits(self) -> int | None:
        """How many exits there are, the last included; None in a network without early exits."""
        return len(self.leaving) + 1 if self.leaving else None


def run(
    file: str | Path,
    paths: Sequence[str | Path],
    *,
    settings: Mapping[str, Any] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    best: int = 5,
    threads: int = 0,
) -> Run:
    """Runs a file on images in onnxruntime.

    Args:
        file: any ONNX classifier: a static one, a dynamic one, or a lowered one.
        paths: pictures, or .npy arrays.
        settings: values for run-time inputs, by name.
        mean: of the pixels (0..1), for each channel, where the file records none.
        std: their standard deviation.
        best: how many classes to name.
        threads: for onnxruntime; 0 lets it choose.

    Raises:
        FileError: the file or an image cannot be read.
        ModelError: the file does not take images or gives no class scores.
        DataError: an image does not fit the network.
        OptionError: a setting is unknown or out of range.
    """
    program = Program.load(file)
    shape = image_shape(program)
    feeds = overrides(program, settings or {})
    normalisation, origin = images.choose(shape[0], program.manifest.normalisation, mean, std)
    batch = images.load(paths, shape, normalisation)
    session = Session(program if program.stage != "source" else file, threads=threads)
    names = [v.name or "" for v in program.graph.outputs]
    role = program.manifest.role
    prediction = judged(file, program).name or ""
    decisions = [n for n in names if role(n) == "decision"]
    found = batched(session, program, batch.array, feeds, [prediction, *decisions])
    scores = found[prediction]
    if scores.ndim != 2 or not scores.shape[1]:
        raise ModelError(
            f"output {prediction!r} has the shape {list(scores.shape)}: scores [N, classes] are "
            "needed to name classes"
        )
    chance = probabilities(scores)
    made = {title: column for name in decisions for title, column in _columns(name, found[name])}
    early, classes = leavings(program), program.manifest.classes
    places = left(early, found, len(scores)).tolist()
    return Run(
        tuple(
            Prediction(
                path,
                _top(scores[row], chance[row], best, classes),
                tuple(title for title, column in made.items() if column[row]),
                places[row] + 1 if early else None,
            )
            for row, path in enumerate(batch.names)
        ),
        tuple(made),
        tuple(_title(one.decision, one.column, found[one.decision]) for one in early),
        origin,
    )


def overrides(program: Program, settings: Mapping[str, Any]) -> dict[str, Array]:
    """Arrays for run-time inputs, each filled with its number, or with one for each column.

    Args:
        program: whose run-time inputs they are.
        settings: a number by name, `0.5`, or text with a number for each column, `0.5,0.9,inf`.

    Raises:
        OptionError: there is no such run-time input, a number is out of its range, or there are
            more or fewer than columns.
    """
    known = {entry.name: entry for entry in program.manifest.runtime_inputs}
    feeds = {}
    for name, value in settings.items():
        if name not in known:
            raise OptionError(f"the file has no run-time input {name!r}: {nearest(name, known)}")
        default = program.weight(name)
        numbers = [_number(known[name], word) for word in words(value)]
        columns = default.shape[-1] if default.shape else 1
        if len(numbers) not in (1, columns):
            raise OptionError(
                f"{name}={value} has {len(numbers)} numbers, but the input has {columns} columns: "
                "give one number, or one for each"
            )
        feeds[name] = np.empty_like(default)
        feeds[name][...] = numbers if len(numbers) > 1 else numbers[0]
    return feeds


def words(value: Any) -> list[str]:
    """The numbers that are given for a run-time input, as text: one, or one for each column."""
    return [word.strip() for word in str(value).split(",")]


def _number(entry: RuntimeInput, text: str) -> float:
    """A number for a run-time input; infinite ones are allowed, since they are only compared."""
    try:
        number = float(text)
    except ValueError as error:
        raise OptionError(f"{entry.name}={text} is no number") from error
    if math.isinf(number) or entry.minimum <= number <= entry.maximum:
        return number
    raise OptionError(
        f"{entry.name}={text} is out of range: use {entry.minimum:g} to {entry.maximum:g}, inf or "
        "-inf"
    )


def probabilities(scores: Array) -> Array:
    """Softmax of scores [N, classes], in float64; scores that are probabilities stay."""
    exact = scores.astype(np.float64)
    if (exact >= 0).all() and np.allclose(exact.sum(1), 1, atol=1e-3):
        return exact
    powers: Array = np.exp(exact - exact.max(1, keepdims=True))
    shares: Array = powers / powers.sum(1, keepdims=True)
    return shares


def _columns(name: str, decision: Array) -> Iterator[tuple[str, Array]]:
    """The choices of a decision [N, choices], by name."""
    for number, column in enumerate(decision.reshape(len(decision), -1).T):
        yield _title(name, number, decision), column


def _title(name: str, number: int, decision: Array) -> str:
    """What a choice of a decision [N, choices] is called."""
    return f"{name}[{number}]" if decision[:1].size > 1 else name


def _top(scores: Array, chance: Array, best: int, classes: Sequence[str]) -> tuple[Top, ...]:
    order = np.argsort(-scores, kind="stable")[:best].tolist()
    names = dict(enumerate(classes))
    return tuple(Top(c, names.get(c), float(chance[c]), float(scores[c])) for c in order)
