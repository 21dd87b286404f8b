"""Streams yield what can be read, in the order asked for, and count what cannot."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from hydrafy.errors import DataError, FileError
from hydrafy.ir.manifest import Normalisation
from hydrafy.train.data import Array, Damaged, Stream


@dataclass(frozen=True)
class Numbered:
    """Reads images that hold their own number, some of which are damaged."""

    bad: frozenset[int] = frozenset()

    def __call__(self, rows: Sequence[int]) -> Iterator[Array | FileError]:
        for row in rows:
            damaged = FileError(f"image {row} is damaged") if row in self.bad else None
            yield damaged or np.full((1, 2, 2), row, np.float64)


def numbered(count: int, bad: Sequence[int] = (), **words: object) -> Stream:
    return Stream("numbers", count, Numbered(frozenset(bad)), **words)


def test_rows_come_in_the_order_asked_for_also_twice() -> None:
    first, second = numbered(9).batches([5, 0, 5, 8, 1], size=4)
    assert first.images[:, 0, 0, 0].tolist() == [5, 0, 5, 8] == first.rows.tolist()
    assert second.rows.tolist() == [1] and second.images.shape == (1, 1, 2, 2)
    assert first.images.dtype == np.float32 and first.rows.dtype == np.int64


def test_all_of_them_where_no_rows_are_named() -> None:
    batches = list(numbered(7).batches(size=3))
    assert [batch.rows.tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(numbered(7).batches([])) == []


def test_pixels_are_normalised() -> None:
    normal = Normalisation((1.0,), (2.0,))
    (batch,) = numbered(9, normalisation=normal).batches([3, 5])
    assert batch.images[:, 0, 0, 0].tolist() == [1, 2]


def test_the_shape_is_that_of_the_first_image_that_can_be_read() -> None:
    images = numbered(200, [0, 1])
    assert images.shape == (1, 2, 2)
    assert images.load([0, 1])[0].images.shape == (0, 1, 2, 2)
    with pytest.raises(DataError, match="2 of the 100"):
        _ = numbered(100, [0, 1]).shape
    with pytest.raises(DataError, match="holds no images"):
        _ = numbered(0).shape


def test_a_damaged_image_ends_it_where_nobody_counts() -> None:
    with pytest.raises(FileError, match="image 4 is damaged"):
        list(numbered(9, [4]).batches())


def test_damaged_images_are_left_out_and_counted() -> None:
    images = numbered(1000, [3, 4, 5, 999])
    damaged = Damaged(images)
    seen = list(images.batches(size=2, damaged=damaged))
    rows = np.concatenate([batch.rows for batch in seen])
    assert sorted({*range(1000)} - {*rows.tolist()}) == [3, 4, 5, 999] == sorted(damaged.errors)
    assert len(rows) == 996 and len(damaged) == 4
    for batch in seen:  # 4 and 5 were a whole batch: it does not come
        assert len(batch.rows) == len(batch.images) > 0
        assert batch.images[:, 0, 0, 0].tolist() == batch.rows.tolist()
    list(images.batches(size=2, damaged=damaged))
    assert len(damaged) == 4  # the same ones in the next epoch


def test_one_in_a_hundred_is_tolerated_and_no_more() -> None:
    images = numbered(300, [10, 20, 30])
    list(images.batches(damaged=Damaged(images)))
    images = numbered(300, [10, 20, 30, 40])
    with pytest.raises(
        DataError,
        match="4 of the 300 images of numbers cannot be read, more than 1%; of the first: image 10",
    ):
        list(images.batches(damaged=Damaged(images)))


def test_gathering_needs_labels_and_whole_images() -> None:
    labels = np.arange(4)
    data = numbered(4, labels=labels).gather()
    assert data.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3] == data.labels.tolist()
    with pytest.raises(DataError, match="have no labels"):
        numbered(4).gather()
    with pytest.raises(FileError, match="image 2"):
        numbered(4, [2], labels=labels).gather()
