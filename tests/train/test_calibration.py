import numpy as np
import pytest
import torch

from hydrafy.errors import DataError, FileError
from hydrafy.ir.manifest import Normalisation
from hydrafy.train.calibration import calibration
from hydrafy.train.data import Damaged, Stream

COUNT = 300


def some(normalisation: Normalisation | None = None, lost: tuple[int, ...] = ()) -> Stream:
    """Images of which each is as bright as its number."""

    def read(rows: object) -> object:
        for row in rows:
            yield FileError("lost") if row in lost else np.full((3, 8, 8), row / COUNT)

    return Stream("images", COUNT, read, normalisation)


def drawn(stream: Stream, **options: object) -> list[np.ndarray]:
    settings = {"batches": 9, "size": 32, "augment": (), **options}
    return list(calibration(stream, Damaged(stream), **settings))


def numbers(batches: list[np.ndarray]) -> list[int]:
    return [round(COUNT * value) for value in np.concatenate(batches)[:, 0, 4, 4]]


def black(batch: np.ndarray) -> int:
    """How many images have a black pixel somewhere."""
    return int((batch == -2).all(1).any((1, 2)).sum())


def test_each_image_comes_once_in_mixed_order_alike_each_time() -> None:
    found = numbers(drawn(some(), batches=99))
    assert found != sorted(found) and sorted(found) == list(range(COUNT))
    assert found == numbers(drawn(some(), batches=99))
    assert [len(batch) for batch in drawn(some(), batches=2)] == [32, 32]
    assert len(set(numbers(drawn(some(), batches=2)))) == 64


def test_pixels_are_augmented_before_they_are_normalised() -> None:
    normalisation = Normalisation((0.5,) * 3, (0.25,) * 3)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    (batch, *_) = drawn(some(normalisation), augment=("crop",))
    assert torch.equal(torch.get_rng_state(), before)
    assert batch.dtype == np.float32 and black(batch) > 16
    assert black(drawn(some(normalisation))[0]) <= 1  # but for the image of number 0
    np.testing.assert_array_equal(batch, drawn(some(normalisation), augment=("crop",))[0])


def test_damaged_images_are_left_out_and_counted() -> None:
    stream = some(lost=(7, 8))
    damaged = Damaged(stream)
    found = list(calibration(stream, damaged, batches=99, size=32))
    assert len(damaged) == 2 and set(numbers(found)) == set(range(COUNT)) - {7, 8}


def test_floats_have_no_colours() -> None:
    with pytest.raises(DataError, match="as floats"):
        drawn(some(), augment=("jitter",))
