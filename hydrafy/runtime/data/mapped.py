"""An array of an .npz file as a memory map: any rows in any order, and none of them held."""

import contextlib
import functools
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from hydrafy.errors import FileError
from hydrafy.train.data import Array

CHUNK = 1 << 18  # bytes that are read at once
LOCAL = 30  # bytes of a member's own header in a zip file, before its name and extra field


@dataclass(frozen=True)
class Header:
    """What an array's beginning says of it; `columns`: its first index runs fastest (Fortran)."""

    shape: tuple[int, ...]
    columns: bool
    kind: np.dtype[Any]


@dataclass(frozen=True, eq=False)
class Mapped:
    """Reads rows of an array of an .npz file.

    What `numpy.savez` wrote is mapped where it lies. What `numpy.savez_compressed` wrote is first
    unpacked to a nameless temporary file, which goes with the process: it costs as much disk as the
    array is large (TMPDIR says where). Either is read through once before the first row, and its
    checksum compared. Mapped pages count as memory of the process, but the system takes them back
    when it needs them.

    Attributes:
        file: the .npz file.
        key: the array's name in it.

    Raises:
        FileError: the file is damaged, or there is no room to unpack it.
    """

    file: Path
    key: str

    def __call__(self, rows: Sequence[int]) -> Iterator[Array]:
        """The rows, as they are stored."""
        array = self._array
        return (array[row] for row in rows)

    def __reduce__(self) -> tuple[Any, ...]:
        return Mapped, (self.file, self.key)  # another process maps it anew

    @functools.cached_property
    def _array(self) -> Array:
        with opened(self.file) as content:
            member = content.getinfo(f"{self.key}.npy")
            with content.open(member) as stream:
                found = header(stream)
                start = stream.tell()
            if member.compress_type != zipfile.ZIP_STORED:
                return _unpacked(content, member, found, start)
            with content.open(member) as stream:
                while stream.read(CHUNK):  # which compares the checksum at the end
                    pass
        with self.file.open("rb") as file:
            return _map(file, found, _begin(file, member) + start)


def header(stream: IO[bytes]) -> Header:
    """Reads an array's header, up to where the numbers start.

    Raises:
        ValueError: there is none.
    """
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise ValueError(f"its format {version} is for records")
    return Header(*read[version](stream))


@contextlib.contextmanager
def opened(file: Path) -> Iterator[zipfile.ZipFile]:
    """The content of an .npz file.

    Raises:
        FileError: it is none, or what is read of it is damaged.
    """
    try:
        with zipfile.ZipFile(file) as content:
            yield content
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise FileError(
            f"{file} is not an .npz file of plain arrays, or it is damaged: write it with "
            "numpy.savez(x=..., y=...)"
        ) from error


def _unpacked(
    content: zipfile.ZipFile, member: zipfile.ZipInfo, found: Header, start: int
) -> Array:
    place = tempfile.gettempdir()
    if shutil.disk_usage(place).free < member.file_size:
        raise FileError(
            f"{content.filename} is compressed, and to unpack it {place} needs "
            f"{member.file_size / 1e6:.0f} MB: set TMPDIR to a folder with more room, or write the "
            "file with numpy.savez, which does not compress"
        )
    with tempfile.TemporaryFile() as file:
        with content.open(member) as stream:
            shutil.copyfileobj(stream, file, CHUNK)
        file.flush()
        return _map(file, found, start)


def _begin(file: IO[bytes], member: zipfile.ZipInfo) -> int:
    """Where the bytes of a member begin: its own header says how long that is."""
    file.seek(member.header_offset)
    local = file.read(LOCAL)
    name, extra = (int.from_bytes(local[at : at + 2], "little") for at in (26, 28))
    return member.header_offset + LOCAL + name + extra


def _map(file: IO[bytes], found: Header, start: int) -> Array:
    order = "F" if found.columns else "C"
    mapped: Array = np.memmap(file, found.kind, "r", start, found.shape, order)  # type: ignore[call-overload]
    return mapped.view(np.ndarray)
