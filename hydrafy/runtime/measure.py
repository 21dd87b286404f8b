"""What a static network computes on images: moments of convolutions, mean features of classes."""

from collections.abc import Callable

import numpy as np

from hydrafy.analysis.classifier import classifier
from hydrafy.analysis.cuts import data_values
from hydrafy.analysis.folded import folded
from hydrafy.errors import DataError, ModelError
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.batchnorm import Moments
from hydrafy.passes.cut import Cut
from hydrafy.passes.observe import Observe, moments_of
from hydrafy.runtime.feed import feed
from hydrafy.train.data import Array, Damaged, Stream

CALIBRATION = 1024  # images that moments are taken from, at most
Counted = Callable[[int, int], None]
"""Called after each batch: how many images are done, and of how many."""


def moments(program: Program, images: Stream, counted: Counted) -> dict[str, Moments]:
    """Mean and variance of what the convolutions compute that lost a BatchNormalization.

    Each image and place counts the same. A stream of many images is sampled.

    Args:
        program: static; it is not changed.
        images: for the network.
        counted: for progress.

    Returns:
        The moments by the name of the convolution's output.

    Raises:
        ModelError: no convolution lost any, or one computes numbers that are not finite.
    """
    names = tuple(node.outputs[0].name or "" for node in folded(program))
    if not names:
        raise ModelError(
            "no BatchNormalization can be restored: every convolution that may have had one has it "
            "still, so leave out --restore-batchnorm"
        )
    probe = base.run(program.clone(), [Observe(names)])
    session, rows, done = Session(probe), images.sample(CALIBRATION), 0
    sums = [np.zeros((3, 1))] * len(names)  # of means, their squares, variances: [3, C]
    for batch in images.batches(rows, damaged=Damaged(images)):
        found = session.run(feed(program, batch.images))
        for number in range(len(names)):
            mean, variance = (found[n].astype(np.float64) for n in moments_of(number))
            parts = [part.sum((0, 2, 3)) for part in (mean, mean**2, variance)]
            sums[number] = sums[number] + np.stack(parts)
        done += len(batch.rows)
        counted(done, len(rows))
    return {name: _moments(name, total / done) for name, total in zip(names, sums, strict=True)}


def _moments(name: str, means: Array) -> Moments:
    if not np.isfinite(means).all():
        raise ModelError(
            f"convolution {name!r} computes numbers that are not finite on these images: check "
            "--mean and --std, or the network's weights"
        )
    mean, squares, within = means
    return Moments(mean, within + np.maximum(squares - mean**2, 0))


def check_each_class(images: Stream, classes: int) -> None:
    """Refuses labelled images that leave a class out.

    Raises:
        DataError: naming the first such class.
    """
    left_out = np.setdiff1d(np.arange(classes), [] if images.labels is None else images.labels)
    if len(left_out):
        raise DataError(
            f"class {left_out[0]} has no image in {images.name}: to group classes by their "
            "features, some of each class are needed"
        )


def class_features(program: Program, images: Stream, counted: Counted) -> Array:
    """The mean of each class's penultimate features, what the classifier reads: [classes, F].

    Args:
        program: static; it is not changed.
        images: with labels, some of each class.
        counted: for progress.

    Raises:
        ModelError: the network has no classifier, or its features are not finite.
        DataError: too many images cannot be read, or all of a class.
    """
    labels = images.labels
    assert labels is not None, "the stream was opened without classes"
    last = classifier(program)
    classes, features = last.rows.shape
    name = data_values(last.node)[0].name or ""
    session = Session(base.run(program.clone(), [Cut((), (name,))]))
    sums, counts, done = np.zeros((classes, features)), np.zeros(classes, np.int64), 0
    for batch in images.batches(damaged=Damaged(images)):
        found = session.run(feed(program, batch.images))[name]
        np.add.at(sums, labels[batch.rows], found.reshape(-1, features))
        np.add.at(counts, labels[batch.rows], 1)
        done += len(batch.rows)
        counted(done, images.count)
    if not np.isfinite(sums).all():
        raise ModelError(
            f"the features {name!r} are not finite on these images: check --mean and --std, or the "
            "network's weights"
        )
    if not counts.all():
        raise DataError(
            f"no image of class {counts.argmin()} in {images.name} can be read: some of each are "
            "needed"
        )
    means: Array = sums / counts[:, None]
    return means
