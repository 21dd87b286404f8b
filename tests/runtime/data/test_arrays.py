"""Arrays that the caller holds are images too."""

import numpy as np
import pytest

from hydrafy.errors import DataError
from hydrafy.ir.manifest import Normalisation
from hydrafy.runtime.data import stream
from hydrafy.runtime.data.takes import Takes
from hydrafy.train.data import Data

NORM = Normalisation((0.5,), (0.25,))
FLOATS = np.random.default_rng(0).standard_normal((5, 1, 4, 6)).astype(np.float32)
TAKES = Takes((1, 4, 6), 3, NORM)


def test_floats_are_taken_as_they_stand_with_their_labels() -> None:
    found = stream(Data(FLOATS, np.array([0, 1, 2, 0, 1])), TAKES)
    data = found.gather()
    np.testing.assert_array_equal(data.images, FLOATS)
    assert data.labels.tolist() == [0, 1, 2, 0, 1] and data.normalisation is None


def test_bytes_are_scaled_and_normalised() -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(2, 4, 6, 1)
    found = stream(pixels, Takes((1, 4, 6), None, NORM))
    (batch,) = found.batches()
    np.testing.assert_allclose(batch.images[:, 0], (pixels[..., 0] / 255 - 0.5) / 0.25, atol=1e-6)
    assert found.normalisation == NORM


def test_labels_must_be_there_where_they_matter() -> None:
    with pytest.raises(DataError, match="have no labels"):
        stream(FLOATS, TAKES)
    with pytest.raises(DataError, match="label 3 "):
        stream(Data(FLOATS, np.array([0, 1, 2, 3, 0])), TAKES)


def test_a_sample_is_drawn_from_all_and_always_the_same() -> None:
    many = stream(np.zeros((1000, 1, 4, 6), np.float32), Takes((1, 4, 6)))
    rows = list(many.sample(100))
    assert rows == sorted(set(rows)) == list(many.sample(100)) and len(rows) == 100
    assert rows[0] < 100 and rows[-1] > 900
    assert list(many.sample(1000)) == list(range(1000))
