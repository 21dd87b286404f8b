"""Images, labels and names of classes of an .npz file."""

import zipfile
from pathlib import Path

import numpy as np

from hydrafy.errors import DataError, FileError
from hydrafy.runtime.data.arrays import arrays
from hydrafy.runtime.data.mapped import Header, Mapped, header, opened
from hydrafy.runtime.data.takes import Takes
from hydrafy.train.data import Array, Stream

CLASSES = "classes"  # the array of the classes' names, which may be missing


def from_archive(file: Path, takes: Takes) -> Stream:
    """A stream of the array `x` of an .npz file, with the labels `y` where these matter.

    An array `classes` of strings names the classes, in the order of the labels.

    Raises:
        FileError: there is no such file, or it is not an .npz of plain arrays.
        DataError: what is in it does not fit the network.
    """
    if not file.exists():
        raise FileError(
            f"there is no file or folder {file}: name an .npz or .parquet file, .tar shards, a "
            "folder, hf:NAME, or digits"
        )
    needed = ("x",) if takes.classes is None else ("x", "y")
    with opened(file) as content:
        have = [name.removesuffix(".npy") for name in content.namelist()]
        missing = [key for key in needed if key not in have]
        if missing:
            raise DataError(
                f"{file} has no array {missing[0]!r} (it has {', '.join(have) or 'none'}): it must "
                "hold x, the images, and y, the labels"
            )
        images, *_ = (_complete(content, key) for key in needed)
        labels = _array(content, "y") if "y" in needed else None
        named = CLASSES in have and "y" in needed
        classes = _names(file, _array(content, CLASSES)) if named else ()
    stored = Mapped(file, "x")
    return arrays(str(file), images.shape, images.kind, stored, labels, classes, takes)


def _array(content: zipfile.ZipFile, key: str) -> Array:
    with content.open(f"{key}.npy") as stream:
        array: Array = np.lib.format.read_array(stream, allow_pickle=False)
        return array


def _names(file: Path, names: Array) -> tuple[str, ...]:
    if names.dtype.kind == "S":
        names = np.char.decode(names, "utf-8")
    if names.ndim != 1 or names.dtype.kind != "U":
        raise DataError(
            f"the array {CLASSES!r} of {file} is {names.dtype} of shape {list(names.shape)}: it "
            "must hold the name of each class, as strings"
        )
    return tuple(map(str, names))


def _complete(content: zipfile.ZipFile, key: str) -> Header:
    """The header of an array that is stored completely."""
    with content.open(f"{key}.npy") as stream:
        found = header(stream)
        size = stream.tell() + found.kind.itemsize * int(np.prod(found.shape, dtype=object))
        if found.kind.hasobject or content.getinfo(f"{key}.npy").file_size != size:
            raise ValueError(f"{key} is no plain array")
        return found
