"""The digits are the same ones each time, in any size."""

import subprocess
import sys

import numpy as np

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


def test_loading_does_not_load_torch() -> None:
    code = "import sys; import hydrafy.runtime.data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
