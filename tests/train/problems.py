"""A problem that a small network learns in seconds, and what a test of training needs."""

from typing import Any

import numpy as np

from hydrafy.ir.manifest import Normalisation
from hydrafy.ir.program import Program
from hydrafy.train.data import Data, Stream
from hydrafy.train.loader import Examples
from hydrafy.train.options import Options
from hydrafy.train.schedule import Schedule
from hydrafy.train.schedule_files import DEFAULT, find
from tests.train.programs import Sketch

HALVES = Normalisation((0.5,) * 3, (0.5,) * 3)


class Held:
    """Reads images from memory."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def __call__(self, rows: Any) -> Any:
        return (self.images[row] for row in rows)


def stream(data: Data, normalisation: Normalisation | None = None) -> Stream:
    return Stream("images", len(data), Held(data.images), normalisation, data.labels)


def problem(count: int = 97, seed: int = 0) -> Data:
    """Six classes: each brightens one of six areas."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 6, count)
    images = rng.standard_normal((count, 3, 8, 8)).astype(np.float32)
    for row, label in enumerate(labels):
        images[row, label % 3, 4 * (label // 3) : 4 * (label // 3) + 4] += 2
    return Data(images, labels.astype(np.int64))


def examples(count: int = 97, seed: int = 0) -> Examples:
    return Examples(stream(problem(count, seed)))


def schedule(epochs: int = 1, **values: Any) -> Schedule:
    return find(DEFAULT).change(epochs=[epochs], **values)


def options(epochs: int = 1, batch_size: int = 32, **values: Any) -> Options:
    named = ("learning_rate", "weight_decay", "clip")
    changes = {name: values.pop(name) for name in named if name in values}
    return Options(schedule(epochs, batch_size=batch_size, **changes), **values)


def static() -> Program:
    s = Sketch()
    hidden = s.op("Relu", [s.batchnorm(s.conv(s.x, "conv", 8, 3), "bn")], "relu")
    return s.program(s.linear(s.op("Flatten", [hidden], "flat"), "fc", 6))
