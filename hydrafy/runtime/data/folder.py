"""Pictures in folders: one folder for each class."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hydrafy.errors import DataError, FileError
from hydrafy.runtime.data.classes import classified
from hydrafy.runtime.data.takes import Takes
from hydrafy.runtime.picture import attempted
from hydrafy.train.data import Array, Stream

ENDINGS = (
    ".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm",
)  # fmt: skip
"""What the names of pictures end with."""


def from_folder(place: Path, takes: Takes) -> Stream:
    """A stream of the pictures in a folder, sorted by class and name.

    Where classes matter, each is a folder of its own. Their names are matched with the network's;
    where nobody knows these, the names sorted as text are the classes 0, 1 ... (so that 10 comes
    before 2, as in torchvision). Where classes do not matter, all pictures below the folder count.
    What has no picture's ending, and what is hidden, is passed over.

    Raises:
        DataError: the folders are not the network's classes, or one holds no picture.
    """
    if takes.classes is None:
        files, labels, names = _pictures(place), None, []
        if not files:
            raise DataError(f"{place} holds no picture (a file that ends in {', '.join(ENDINGS)})")
    else:
        groups = _classes(place)
        names, files = list(groups), [file for group in groups.values() for file in group]
        labels = np.repeat(np.arange(len(groups)), [len(group) for group in groups.values()])
    own, classes = classified(str(place), len(files), labels, names, takes)
    read = _Pictures(tuple(files), takes.shape, takes.resize)
    return Stream(str(place), len(files), read, takes.normalisation, own, classes, pictures=True)


@dataclass(frozen=True, eq=False)
class _Pictures:
    """Reads picture files."""

    files: tuple[str, ...]
    shape: tuple[int, int, int]
    resize: float

    def __call__(self, rows: Sequence[int]) -> Iterator[Array | FileError]:
        chosen = (self.files[row] for row in rows)
        return (attempted(Path(file), file, self.shape, self.resize) for file in chosen)


def _classes(place: Path) -> dict[str, list[str]]:
    """The pictures of each class, at least one, by the names of their folders."""
    found = sorted(one for one in place.iterdir() if one.is_dir() and one.name[0] != ".")
    if not found:
        raise DataError(
            f"{place} holds no class folders (nor .parquet files, nor .tar shards): the pictures "
            "of each class must be in a folder of their own"
        )
    groups = {one.name: _pictures(one) for one in found}
    for one in found:
        if not groups[one.name]:
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
