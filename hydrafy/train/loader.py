"""Brings batches of a stream to the trainer, read ahead by other processes where that pays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader, Dataset

from hydrafy.analysis.images import AS_THEY_ARE
from hydrafy.errors import FileError, HydrafyError
from hydrafy.ir.manifest import Normalisation
from hydrafy.train.data import Array, Damaged, Stream


@dataclass(frozen=True, eq=False)
class Examples:
    """What is trained on: labelled images.

    Attributes:
        stream: the images.
        axes: the permutation that brings [N, C, H, W] to the layout that the module takes.
    """

    stream: Stream
    axes: tuple[int, ...] = AS_THEY_ARE

    @property
    def labels(self) -> Array:
        """Int64 [count]."""
        assert self.stream.labels is not None, "the stream was opened with labels"
        return self.stream.labels

    def __len__(self) -> int:
        return self.stream.count


@dataclass(frozen=True, eq=False)
class Loaded:
    """A batch as tensors: images [n, C, H, W] before they are normalised, and labels [n]."""

    images: torch.Tensor
    labels: torch.Tensor

    def to(self, device: torch.device) -> Loaded:
        """The same on a device."""
        return Loaded(
            self.images.to(device, non_blocking=True), self.labels.to(device, non_blocking=True)
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


def normalise(
    normalisation: Normalisation | None, axes: tuple[int, ...], device: torch.device
) -> Callable[[torch.Tensor], torch.Tensor]:
    """What brings images [N, C, H, W] from pixels to what a module takes, on the device.

    In memory the channels stand last, which makes convolutions faster.

    Args:
        normalisation: of the pixels; None for none.
        axes: the permutation that brings [N, C, H, W] to the layout of the module.
        device: where images are.
    """
    given = normalisation
    numbers = ((0.0,), (1.0,)) if given is None else (given.mean, given.std)
    mean, std = (torch.tensor(each, device=device)[:, None, None] for each in numbers)

    def normalised(images: torch.Tensor) -> torch.Tensor:
        images = images.contiguous(memory_format=torch.channels_last)
        return ((images - mean) / std).permute(axes)

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
        labels = torch.from_numpy(self.examples.labels[batch.rows])
        return Loaded(torch.from_numpy(batch.images), labels), errors
