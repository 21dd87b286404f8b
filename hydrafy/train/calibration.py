"""Images as training saw them, the same ones each time, for what is measured on them."""

from collections.abc import Iterator

import numpy as np
import torch

from hydrafy.train.augment import Augment
from hydrafy.train.data import Array, Damaged, Stream

BATCHES, SIZE = 200, 256  # after training: about 200 large batches, as the papers do


def calibration(
    stream: Stream, damaged: Damaged, *, batches: int, size: int, augment: tuple[str, ...] = ()
) -> Iterator[Array]:
    """Batches of images, each image once, in random order: one class alone has its own statistics.

    Torch's generators are left as they were.

    Args:
        stream: where they come from.
        damaged: counts the images that cannot be read.
        batches: how many, at most.
        size: images in each.
        augment: as in training, see `hydrafy.train.augment`.

    Yields:
        Float32 [n, C, H, W], normalised.

    Raises:
        OptionError: an augmentation is unknown.
        DataError: too many images cannot be read, or an augmentation is not for such images.
    """
    rows = np.random.default_rng(0).permutation(stream.sample(batches * size))
    normal = stream.normalisation
    for start in range(0, len(rows), size):
        batch, errors = stream.load(rows[start : start + size])
        for row, error in errors.items():
            damaged.add(row, error)
        if len(batch.rows):
            change = Augment(augment, batch.images.shape[1], pixels=normal is not None)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(start)
                images = change(torch.from_numpy(batch.images)).numpy()
            yield images if normal is None else normal.apply(images)
