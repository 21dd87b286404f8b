"""Images and labels of an .npz file, of which no more than a few images are in memory at once."""

import contextlib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from hydrafy.errors import DataError, FileError
from hydrafy.runtime.data.arrays import arrays
from hydrafy.runtime.data.takes import Takes
from hydrafy.train.data import Array, Stream

CHUNK = 1 << 20  # bytes that are read at once


def from_archive(file: Path, takes: Takes) -> Stream:
    """A stream of the array `x` of an .npz file, with the labels `y` where these matter.

    Raises:
        FileError: there is no such file, or it is not an .npz of plain arrays.
        DataError: what is in it does not fit the network.
    """
    if not file.exists():
        raise FileError(
            f"there is no file or folder {file}: name an .npz file, a folder, or digits"
        )
    needed = ("x",) if takes.classes is None else ("x", "y")
    with _opened(file) as content:
        have = [name.removesuffix(".npy") for name in content.namelist()]
        missing = [key for key in needed if key not in have]
        if missing:
            raise DataError(
                f"{file} has no array {missing[0]!r} (it has {', '.join(have) or 'none'}): it must "
                "hold x, the images, and y, the labels"
            )
        images, *labels = (_header(content, key) for key in needed)
    read = _whole(file, "y") if labels else None
    return arrays(
        str(file), images.shape, images.kind, lambda rows: _rows(file, images, rows), read, takes
    )


@dataclass(frozen=True)
class _Header:
    """What an array's beginning says of it; `columns`: its first index runs fastest (Fortran)."""

    shape: tuple[int, ...]
    columns: bool
    kind: np.dtype[Any]


def _rows(file: Path, header: _Header, rows: Sequence[int]) -> Iterator[Array]:
    """The images of ascending rows."""
    if header.columns:
        images = _whole(file, "x")
        yield from (images[row] for row in rows)
        return
    size = header.kind.itemsize * int(np.prod(header.shape[1:], dtype=np.int64))
    step = max(1, CHUNK // size)
    wanted = iter(rows)
    row = next(wanted, None)
    with _opened(file) as content, content.open("x.npy") as stream:
        _begin(stream)
        for start in range(0, header.shape[0], step):
            count = min(step, header.shape[0] - start)
            chunk = np.frombuffer(stream.read(count * size), header.kind)
            images = chunk.reshape(count, *header.shape[1:])
            while row is not None and row < start + count:
                yield images[row - start]
                row = next(wanted, None)
            if row is None:
                return


def _whole(file: Path, key: str) -> Array:
    with _opened(file) as content, content.open(f"{key}.npy") as stream:
        array: Array = np.lib.format.read_array(stream, allow_pickle=False)
        return array


def _header(content: zipfile.ZipFile, key: str) -> _Header:
    """The header of an array that is stored completely."""
    with content.open(f"{key}.npy") as stream:
        header = _begin(stream)
        size = stream.tell() + header.kind.itemsize * int(np.prod(header.shape, dtype=object))
        if header.kind.hasobject or content.getinfo(f"{key}.npy").file_size != size:
            raise ValueError(f"{key} is no plain array")
        return header


def _begin(stream: IO[bytes]) -> _Header:
    """Reads a header, up to where the numbers start."""
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise ValueError(f"its format {version} is for records")
    return _Header(*read[version](stream))


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as content:
            yield content
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise FileError(
            f"{file} is not an .npz file of plain arrays, or it is damaged: write it with "
            "numpy.savez(x=..., y=...)"
        ) from error
