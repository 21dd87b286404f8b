"""Brings batches of a stream to the trainer, read ahead by other processes where that pays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader, Dataset

from hydrafy.errors import FileError, HydrafyError
from hydrafy.train.data import Array, Damaged, Stream


@dataclass(frozen=True, eq=False)
class Examples:
    """What is trained on: labelled images, and what the teacher says of them.

    Attributes:
        stream: the images.
        axes: the permutation that brings [N, C, H, W] to the layout that the module takes.
        teacher: the logits of the network that is distilled, float32 [count, classes], or None.
    """

    stream: Stream
    axes: tuple[int, ...] = (0, 1, 2, 3)
    teacher: Array | None = None

    @property
    def labels(self) -> Array:
        """Int64 [count]."""
        assert self.stream.labels is not None, "the stream was opened with labels"
        return self.stream.labels

    def __len__(self) -> int:
        return self.stream.count


@dataclass(frozen=True, eq=False)
class Loaded:
    """A batch as tensors: images [n, C, H, W] before they are normalised, labels, logits."""

    images: torch.Tensor
    labels: torch.Tensor
    teacher: torch.Tensor | None

    def to(self, device: torch.device) -> Loaded:
        """The same on a device."""
        teacher = self.teacher
        return Loaded(
            self.images.to(device, non_blocking=True),
            self.labels.to(device, non_blocking=True),
            None if teacher is None else teacher.to(device, non_blocking=True),
        )

    def __len__(self) -> int:
        return len(self.labels)


def loader(
    examples: Examples, batches: Sequence[Array], damaged: Damaged, workers: int = 0
) -> Iterator[Loaded]:
    """The batches of these rows, without the images that are damaged; one may end up empty.

    Args:
        examples: where they come from.
        batches: the rows of each.
        damaged: counts what cannot be read.
        workers: processes that read ahead.

    Raises:
        DataError: too many images cannot be read, or one does not fit.
    """
    reader: DataLoader[_Read] = DataLoader(
        _Rows(examples),
        batch_size=None,
        sampler=batches,  # each index is the rows of a batch
        num_workers=workers,
    )
    for found in reader:
        if isinstance(found, HydrafyError):
            raise found
        batch, errors = found
        for row, error in errors.items():
            damaged.add(row, error)
        yield batch


def normalise(examples: Examples, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """What brings images [N, C, H, W] from pixels to what the module takes, on the device.

    In memory the channels stand last, which makes convolutions faster.
    """
    normal = examples.stream.normalisation
    numbers = ((0.0,), (1.0,)) if normal is None else (normal.mean, normal.std)
    mean, std = (torch.tensor(each, device=device)[:, None, None] for each in numbers)

    def normalised(images: torch.Tensor) -> torch.Tensor:
        images = images.contiguous(memory_format=torch.channels_last)
        return ((images - mean) / std).permute(examples.axes)

    return normalised


_Read = tuple[Loaded, dict[int, FileError]] | HydrafyError


class _Rows(Dataset[_Read]):
    """Indexed by the rows of a batch, as torch's loader wants it."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples

    def __getitem__(self, rows: Array) -> _Read:
        try:
            batch, errors = self.examples.stream.load(rows)
        except HydrafyError as error:  # raised here, torch would add a worker's traceback to it
            return type(error)(*error.args)
        teacher = self.examples.teacher
        loaded = Loaded(
            torch.from_numpy(batch.images),
            torch.from_numpy(self.examples.labels[batch.rows]),
            None if teacher is None else torch.from_numpy(teacher[batch.rows]),
        )
        return loaded, errors
