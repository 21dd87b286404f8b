"""The classes of images as the network counts them: labels are checked, and matched by name."""

from collections.abc import Sequence

import numpy as np

from hydrafy.errors import DataError, nearest
from hydrafy.runtime.data.takes import Takes
from hydrafy.train.data import Array, Stream

SHOWN = 10  # names of classes in a message, at most


def classified(
    name: str, count: int, labels: Array | None, theirs: Sequence[str], takes: Takes
) -> tuple[Array | None, tuple[str, ...]]:
    """Labels as the network counts its classes, and the names of these.

    Where both the network and the source name their classes, they are matched by name: the source
    may lack some, and have them in another order. Else the source's classes are the network's, and
    there must be as many.

    Args:
        name: of the source, for messages.
        count: of the images.
        labels: integers [count]; without names of the network's classes, else of `theirs`.
        theirs: the names of the source's classes; empty where it has none.
        takes: what they have to fit.

    Returns:
        int64 [count], and the names, none where nobody knows any; nothing where labels do not
        matter.

    Raises:
        DataError: there are no labels, or they do not fit.
    """
    if takes.classes is None:
        return None, ()
    names = tuple(theirs)
    if names and not takes.names and len(names) != takes.classes:
        raise DataError(
            f"{name} has {len(names)} classes ({_listed(names)}), but the model has "
            f"{takes.classes} classes: it must have as many, in the order of the model's scores"
        )
    known = len(names) or takes.classes
    whole = _whole(name, count, labels, known, "it" if names else "the model")
    if not names or not takes.names or names == takes.names:
        return whole, takes.names or names
    return _places(name, whole, names, takes.names)[whole], takes.names


def check_trainable(images: Stream) -> None:
    """Refuses images from which no classifier can learn.

    Raises:
        DataError: they have no labels, or all are of one class.
    """
    labels = images.labels
    if labels is None:
        raise DataError(f"the images of {images.name} have no labels: give images with labels")
    if len(np.unique(labels)) < 2:
        which = images.classes[labels[0]] if images.classes else str(labels[0])
        raise DataError(
            f"all images of {images.name} are of one class, {which!r}: to train, some of at least "
            "two classes are needed"
        )


def _places(name: str, labels: Array, names: Sequence[str], ours: Sequence[str]) -> Array:
    """Where each of the source's classes stands among the network's, 0 for those without images."""
    places = np.zeros(len(names), np.int64)
    for one in np.unique(labels):
        word = names[one]
        if word not in ours:
            raise DataError(
                f"{name} has a class {word!r}, which the model does not know: {nearest(word, ours)}"
            )
        if ours.count(word) > 1:
            raise DataError(f"the model has several classes {word!r}, so {name} cannot be matched")
        places[one] = ours.index(word)
    return places


def _whole(name: str, count: int, labels: Array | None, classes: int, who: str) -> Array:
    """The labels as int64 [count], each one of the classes."""
    if labels is None:
        raise DataError(f"{name} have no labels: give a hydrafy.train.data.Data with both")
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"the labels of {name} are {labels.dtype} of shape {list(labels.shape)}: one integer "
            "for each image is needed"
        )
    if len(labels) != count:
        raise DataError(
            f"{name} has {count} images but {len(labels)} labels: one label each is needed"
        )
    outside = labels[(labels < 0) | (labels >= classes)]
    if len(outside):
        raise DataError(
            f"label {outside[0]} of {name} is out of range: {who} has {classes} classes, "
            f"labels 0 to {classes - 1}"
        )
    return labels.astype(np.int64)


def _listed(names: Sequence[str]) -> str:
    more = ["..."] if len(names) > SHOWN else []
    return ", ".join([*names[:SHOWN], *more])
