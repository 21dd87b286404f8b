"""Finds the table of pictures that a user names: parquet, WebDataset shards, a hub's dataset."""

from __future__ import annotations

import contextlib
import glob
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydrafy.errors import DataError, FileError, OptionError, first_line
from hydrafy.runtime.data.digits import Split
from hydrafy.runtime.data.shards import named

if TYPE_CHECKING:
    from datasets import Dataset

HUB = "hf:"
LOADERS = {".parquet": "parquet", ".tar": "webdataset"}
PART = re.compile(r"(?<![a-z])(train|validation|valid|val|dev|test)(?![a-z])")
SAVED = ("dataset_dict.json", "state.json")  # what `save_to_disk` leaves in a folder


def is_table(source: str) -> bool:
    """Whether a name stands for a table of pictures, rather than for a folder or an .npz file."""
    if source.startswith(HUB) or _ending(source) is not None:
        return True
    place = Path(source)
    return any((place / file).is_file() for file in SAVED)


def open_table(source: str, split: Split) -> Dataset:
    """The rows of a table of pictures, in any order and without holding them.

    Hugging Face's library writes parquet files, shards and what it downloads to its cache first
    (HF_HOME says where), in a form that it maps into memory: that costs as much disk as the data is
    large, once.

    Args:
        source: .parquet files or WebDataset's .tar shards: one, a pattern of them (see `named`), or
            a folder, in which names tell the parts; a folder that `save_to_disk` wrote; or
            `hf:OWNER/NAME` for a dataset on the hub, `hf:OWNER/NAME:PART` for one part of it.
        split: which part, where there are several.

    Raises:
        OptionError: the library is not installed.
        FileError: there is no such table, or it cannot be read.
        DataError: it has several parts, and nobody knows which is meant.
    """
    with _explained(source):
        _silenced()
        if source.startswith(HUB):
            return _from_hub(source, split)
        ending = _ending(source)
        return _saved(source, split) if ending is None else _from_files(source, ending, split)


def _silenced() -> None:
    """The library tells much of its cache; what our users should know are its errors."""
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()


def _from_hub(source: str, split: Split) -> Dataset:
    import datasets

    name, _, part = source.removeprefix(HUB).partition(":")
    if not part:
        how = f"{HUB}{name}:PART"
        part = _part(source, datasets.get_dataset_split_names(name), split, how)
    return datasets.load_dataset(name, split=part)


def _saved(source: str, split: Split) -> Dataset:
    import datasets

    found = datasets.load_from_disk(source)
    if isinstance(found, datasets.Dataset):
        return found
    return found[_part(source, list(found), split, f"{source}/PART")]


def _from_files(source: str, ending: str, split: Split) -> Dataset:
    import datasets

    place = Path(source)
    files = _within(place, ending) if place.is_dir() else named(source)
    if not files:
        raise FileError(
            f"there is no file {source}: name a {ending} file, or some by * or {{0..9}}"
        )
    parts = _parts(files) if place.is_dir() else {"train": files}
    part = _part(source, list(parts), split, f"{Path(files[0]).parent}/*PART*{ending}")
    exact = [glob.escape(file) for file in parts[part]]  # the library takes names for patterns
    return datasets.load_dataset(LOADERS[ending], data_files=exact, split="train")


def _parts(files: list[str]) -> dict[str, list[str]]:
    """Files by the part that is in the name of each of them; all together if one has none."""
    found = [PART.search(Path(file).name.lower()) for file in files]
    parts: dict[str, list[str]] = {}
    for file, match in zip(files, found, strict=True):
        parts.setdefault(match.group() if match and all(found) else "train", []).append(file)
    return parts


def _part(source: str, parts: Sequence[str], split: Split, how: str) -> str:
    others = [part for part in parts if part != "train"]
    if len(parts) == 1:
        return parts[0]
    if split == "train" and "train" in parts:
        return "train"
    if split == "test" and len(others) == 1:
        return others[0]
    raise DataError(f"{source} has the parts {', '.join(parts)}: choose one by naming {how}")


def _ending(source: str) -> str | None:
    """What the names of the table's files end with, if they are of a kind that we know."""
    place = Path(source)
    if not place.is_dir():
        return place.suffix if place.suffix in LOADERS else None
    return next((ending for ending in LOADERS if _within(place, ending)), None)


def _within(place: Path, ending: str) -> list[str]:
    """The files in a folder, or in the one within it where the hub keeps them."""
    return sorted(
        str(file) for folder in (place, place / "data") for file in folder.glob(f"*{ending}")
    )


@contextlib.contextmanager
def _explained(source: str) -> Iterator[None]:
    try:
        from datasets.exceptions import DatasetsError
    except ImportError as error:
        raise OptionError(
            f"to read {source}, the package {error.name} is needed: pip install 'hydrafy[datasets]'"
        ) from error
    try:
        yield
    except (OSError, ValueError, LookupError, tarfile.TarError, DatasetsError) as error:
        cause: BaseException = error
        while cause.__cause__ is not None:  # what is on top says only that something went wrong
            cause = cause.__cause__
        raise FileError(f"{source} cannot be read: {first_line(cause)}") from error
