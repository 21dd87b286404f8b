"""Pictures in folders: one folder for each class, in sorted order."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from hydrafy.errors import DataError
from hydrafy.runtime.data.takes import Takes
from hydrafy.runtime.images import picture
from hydrafy.train.data import Array, Stream

ENDINGS = (
    ".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm",
)  # fmt: skip
"""What the names of pictures end with."""


def from_folder(place: Path, takes: Takes) -> Stream:
    """A stream of the pictures in a folder, sorted by class and name.

    Where classes matter, each is a folder of its own, and the sorted names of these folders are the
    classes 0, 1 ...; otherwise all pictures below the folder count. What has no picture's ending,
    and what is hidden, is passed over.

    Raises:
        DataError: there are not as many folders as classes, or one holds no picture.
    """
    if takes.classes is None:
        files, labels = _pictures(place), None
        if not files:
            raise DataError(f"{place} holds no picture (a file that ends in {', '.join(ENDINGS)})")
    else:
        groups = _classes(place, takes.classes)
        files = [file for group in groups for file in group]
        labels = np.repeat(np.arange(len(groups)), [len(group) for group in groups])

    def read(rows: Sequence[int]) -> Iterator[Array]:
        return (picture(Path(files[row]), takes.shape) for row in rows)

    return Stream(str(place), len(files), read, takes.normalisation, labels)


def _classes(place: Path, classes: int) -> list[list[str]]:
    """The pictures of each class, at least one."""
    found = sorted(one for one in place.iterdir() if one.is_dir() and one.name[0] != ".")
    if len(found) != classes:
        raise DataError(
            f"{place} has {len(found)} class folders, but the model has {classes} classes: one "
            "folder for each is needed, in the order of their names"
        )
    groups = [_pictures(one) for one in found]
    for one, group in zip(found, groups, strict=True):
        if not group:
            raise DataError(
                f"class folder {one} holds no picture (a file that ends in {', '.join(ENDINGS)})"
            )
    return groups


def _pictures(place: Path) -> list[str]:
    """The files below a folder that end as pictures do, sorted."""
    found = []
    for where, inner, names in os.walk(place):
        inner[:] = [name for name in inner if name[0] != "."]
        found += [
            os.path.join(where, name)
            for name in names
            if name[0] != "." and os.path.splitext(name)[1].lower() in ENDINGS
        ]
    return sorted(found)
