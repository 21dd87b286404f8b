"""The digits are the same ones each time, in any size."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from hydrafy.errors import DataError
from hydrafy.ir.manifest import Normalisation
from hydrafy.runtime.data import stream
from hydrafy.runtime.data.takes import Takes


def test_the_digits_are_divided_once_and_for_all() -> None:
    takes = Takes((1, 8, 8), 10)
    train, test = (stream("digits", takes, split).gather() for split in ("train", "test"))
    assert (len(train), len(test)) == (1347, 450)
    assert not {i.tobytes() for i in train.images} & {i.tobytes() for i in test.images}
    shares = np.bincount(test.labels) / np.bincount(np.r_[train.labels, test.labels])
    assert (abs(shares - 0.25) < 0.01).all()
    again = stream("digits", takes, "test").gather()
    np.testing.assert_array_equal(again.images, test.images)
    assert (train.images.min(), train.images.max()) == (0, 1)


def test_the_digits_are_enlarged_bilinearly_as_torch_does() -> None:
    import torch

    small = stream("digits", Takes((1, 8, 8)), "test")
    large = stream("digits", Takes((3, 32, 20)), "test")
    rows = small.sample(20)
    (less,), (more,) = small.batches(rows), large.batches(rows)
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(less.images), size=(32, 20), mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(more.images, np.repeat(wanted.numpy(), 3, 1), atol=1e-6)


def test_the_digits_are_normalised() -> None:
    plain, halves = (
        next(stream("digits", Takes((1, 8, 8), 10, norm)).batches()).images
        for norm in (None, Normalisation((0.5,), (0.25,)))
    )
    np.testing.assert_allclose(halves, (plain - 0.5) / 0.25, atol=1e-6)


def test_the_digits_are_classes() -> None:
    assert stream("digits", Takes((1, 8, 8), 10)).classes == tuple("0123456789")
    with pytest.raises(DataError, match=r"digits has 10 classes .* but the model has 2 classes"):
        stream("digits", Takes((1, 8, 8), 2))
    pickled = pickle.loads(pickle.dumps(stream("digits", Takes((1, 16, 16), 10))))
    (some,) = pickled.batches([7, 3])
    assert some.images.shape == (2, 1, 16, 16)


def test_loading_does_not_load_what_is_heavy() -> None:
    code = (
        "import sys, hydrafy.runtime.data; "
        "sys.exit(' '.join({'torch', 'datasets', 'pyarrow', 'PIL'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stderr.strip() == ""
