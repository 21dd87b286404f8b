"""Writes what happens in a training to TensorBoard: losses, accuracy, rates, learning rate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from hydrafy.errors import FileError
from hydrafy.train.history import Epoch

PLACE = "tensorboard"  # within the folder of a run


def log(folder: Path, epochs: tuple[Epoch, ...]) -> None:
    """Writes the last epoch; what an earlier attempt at it has written is dropped.

    Args:
        folder: of the run.
        epochs: all that are finished.

    Raises:
        FileError: it cannot be written.
    """
    number = len(epochs)
    try:
        with SummaryWriter(folder / PLACE, purge_step=number) as writer:
            for name, value in _scalars(epochs[-1]):
                writer.add_scalar(name, value, number)
    except OSError as error:
        raise FileError(
            f"the run cannot be logged in {folder / PLACE} ({error.strerror or error}): make room, "
            "and go on with --resume"
        ) from error


def _scalars(epoch: Epoch) -> Iterator[tuple[str, float]]:
    step, validation = epoch.step, epoch.validation
    yield "learning rate", epoch.learning_rate
    yield "training/loss", step.loss
    yield "training/top-1", step.accuracy
    yield from ((f"terms/{name}", value) for name, value in step.terms.items())
    yield from _shares("rates in training", step.rates)
    if validation is not None:
        yield "validation/loss", validation.loss
        yield "validation/top-1", validation.top1
        yield "validation/top-5", validation.top5
        yield from _shares("rates in validation", validation.rates)


def _shares(what: str, rates: Mapping[str, tuple[float, ...]]) -> Iterator[tuple[str, float]]:
    for name, shares in rates.items():
        yield from ((f"{what}/{name}.{n}", share) for n, share in enumerate(shares))
