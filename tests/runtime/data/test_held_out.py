"""A share of the images is held out: the same one each time, of each class alike."""

import pickle

import numpy as np
import pytest

from hydrafy.errors import DataError, OptionError
from hydrafy.runtime.data import stream
from hydrafy.runtime.data.held_out import held_out
from hydrafy.runtime.data.takes import Takes
from hydrafy.train.data import Data, Stream

LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [50, 30, 20]))


def numbered(labels: np.ndarray, classes: int = 3) -> Stream:
    """Images that hold their own number."""
    x = np.broadcast_to(
        np.arange(len(labels), dtype=np.float32)[:, None, None, None], (len(labels), 1, 2, 2)
    )
    return stream(Data(x, labels), Takes((1, 2, 2), classes))


def numbers(part: Stream) -> list[int]:
    return [int(n) for batch in part.batches(size=7) for n in batch.images[:, 0, 0, 0]]


def test_the_parts_are_disjoint_and_complete_and_keep_their_labels() -> None:
    parts = held_out(numbered(LABELS), 0.2)
    assert [part.count for part in parts] == [80, 20]
    seen = [numbers(part) for part in parts]
    assert sorted(seen[0] + seen[1]) == list(range(100))
    for part, rows in zip(parts, seen, strict=True):
        assert part.labels is not None
        np.testing.assert_array_equal(part.labels, LABELS[rows])
        (batch,) = part.batches([3, 0])
        assert batch.images[:, 0, 0, 0].tolist() == [rows[3], rows[0]]


def test_each_class_gives_its_share() -> None:
    _, judged = held_out(numbered(LABELS), 0.1)
    assert judged.labels is not None
    assert np.bincount(judged.labels).tolist() == [5, 3, 2]


def test_the_seed_decides() -> None:
    first, again, other = (numbers(held_out(numbered(LABELS), 0.2, seed)[1]) for seed in (1, 1, 2))
    assert first == again != other


def test_a_part_can_be_divided_and_pickled() -> None:
    inner, _ = held_out(held_out(numbered(LABELS), 0.2)[0], 0.5)
    assert numbers(pickle.loads(pickle.dumps(inner))) == numbers(inner)
    assert inner.labels is not None
    np.testing.assert_array_equal(LABELS[numbers(inner)], inner.labels)


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan")])
def test_a_share_that_makes_no_sense(share: float) -> None:
    with pytest.raises(OptionError, match="between 0 and 1"):
        held_out(numbered(LABELS), share)


def test_what_cannot_be_divided() -> None:
    with pytest.raises(DataError, match="class 1 of the given arrays has a single image"):
        held_out(numbered(np.array([0, 0, 1, 2, 2])), 0.5)
    with pytest.raises(
        DataError, match=r"leaves 98 to train on and 2 to judge by, but .* 3 classes"
    ):
        held_out(numbered(LABELS), 0.02)
    with pytest.raises(DataError, match="leaves 1 to train on"):
        held_out(numbered(LABELS), 0.99)
    with pytest.raises(DataError, match="no labels"):
        held_out(stream(np.zeros((4, 1, 2, 2), np.float32), Takes((1, 2, 2))), 0.5)
