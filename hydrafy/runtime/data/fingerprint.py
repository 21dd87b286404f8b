"""A fingerprint of images: a few letters, which are others for other images or labels."""

import hashlib

from hydrafy.train.data import Stream

SAMPLE = 64  # images that are looked at


def fingerprint(images: Stream) -> str:
    """What tells images from others that are called the same, and are as many.

    It takes in how many there are, all labels, how pixels are normalised, and the pixels of some
    images: other rows of the same folder differ in them, also where the classes are the same.
    """
    batch, _ = images.load(images.sample(SAMPLE))
    seen = hashlib.sha256(repr((images.count, images.normalisation)).encode())
    for array in (batch.rows, batch.images, images.labels):
        if array is not None:
            seen.update(array.tobytes())
    return seen.hexdigest()[:12]
