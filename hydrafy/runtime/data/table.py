"""Streams of tables: which column of a Hugging Face dataset holds pictures, and which labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hydrafy.errors import DataError, FileError
from hydrafy.runtime.data.classes import classified
from hydrafy.runtime.data.takes import Takes
from hydrafy.runtime.picture import attempted
from hydrafy.train.data import Array, Stream

if TYPE_CHECKING:
    from datasets import Dataset

LABELS = ("label", "labels", "cls", "class", "target")  # how columns of labels are called


def from_table(name: str, table: Dataset, takes: Takes) -> Stream:
    """A stream of the pictures of a table, with labels where these matter.

    Pictures are in the only column of images (else of bytes). Labels are in the only column of
    classes, of several the one with as many classes as the network; else in that of integers; else
    in one of strings, which name the classes. Where these are several, one must be called `label`,
    or another of `LABELS`. Columns within others (WebDataset's .json) count.

    Args:
        name: of the source, for messages.
        table: the rows.
        takes: what they have to fit.

    Raises:
        DataError: there is no such column, or several; or they do not fit the network.
    """
    if not len(table):
        raise DataError(f"{name} holds no images")
    column = _pictures(name, table)
    labels: Array | None = None
    names: Sequence[str] = ()
    if takes.classes is not None:
        labels, names = _labels(name, table, takes.classes)
    own, classes = classified(name, len(table), labels, names, takes)
    read = _Pictures(name, _undecoded(table, column), column, takes.shape, takes.resize)
    return Stream(name, len(table), read, takes.normalisation, own, classes, pictures=True)


@dataclass(frozen=True, eq=False)
class _Pictures:
    """Reads pictures from a column, whose values are bytes, or bytes and a path."""

    name: str
    table: Dataset
    column: str
    shape: tuple[int, int, int]
    resize: float

    def __call__(self, rows: Sequence[int]) -> Iterator[Array | FileError]:
        return map(self._one, rows)

    def _one(self, row: int) -> Array | FileError:
        value = self.table[row][self.column]
        path = value.get("path") if isinstance(value, dict) else None
        content = value.get("bytes") if isinstance(value, dict) else value
        where = f"row {row} of {self.name}" + (f" ({path})" if path else "")
        if content is None and path is None:
            return FileError(f"{where} has no picture in the column {self.column!r}")
        source = Path(path or "") if content is None else content
        return attempted(source, where, self.shape, self.resize)


def _undecoded(table: Dataset, column: str) -> Dataset:
    """The column alone, as bytes: `picture` decodes those of all sources in one way."""
    import datasets

    alone = table.select_columns([column]).with_format(None)
    if not isinstance(alone.features[column], datasets.Image):
        return alone
    return alone.cast_column(column, datasets.Image(decode=False))


def _pictures(name: str, table: Dataset) -> str:
    import datasets

    features = table.features
    images: list[str] = [k for k, one in features.items() if isinstance(one, datasets.Image)]
    if not images:
        images = [key for key, one in features.items() if _holds_bytes(one)]
    if len(images) != 1:
        raise DataError(
            f"{name} has {_several(images)} of pictures (its columns are {', '.join(features)}): "
            "there must be one"
        )
    return images[0]


def _holds_bytes(feature: Any) -> bool:
    inner = feature.get("bytes") if isinstance(feature, dict) else feature
    return getattr(inner, "dtype", None) in ("binary", "large_binary")


def _labels(name: str, table: Dataset, classes: int) -> tuple[Array, Sequence[str]]:
    """The labels, and the names of the classes where the table tells them."""
    import datasets

    kinds = dict(_scalars(table.features))
    found = [key for key, one in kinds.items() if isinstance(one, datasets.ClassLabel)]
    if len(found) > 1:
        found = [key for key in found if kinds[key].num_classes == classes]
    found = found or _called_label([k for k, one in kinds.items() if "int" in one.dtype])
    found = found or [key for key in _called_label(list(kinds)) if kinds[key].dtype == "string"]
    if len(found) != 1:
        raise DataError(
            f"{name} has {_several(found)} of labels (its columns are {', '.join(kinds)}): there "
            "must be one of classes, or one of integers or names that is called 'label'"
        )
    key = found[0]
    values = table.select_columns([key.split(".")[0]]).flatten().with_format("numpy")[:][key]
    if kinds[key].dtype == "string":
        words, labels = np.unique(values, return_inverse=True)
        return labels, [str(word) for word in words]
    return values, getattr(kinds[key], "names", None) or ()


def _scalars(features: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The columns of single values and their kinds, also those within others, as `json.label`."""
    for key, one in features.items():
        if isinstance(one, dict):
            yield from _scalars(one, f"{prefix}{key}.")
        elif hasattr(one, "dtype") and isinstance(one.dtype, str):
            yield prefix + key, one


def _called_label(keys: list[str]) -> list[str]:
    """Those that are called so, where there are several."""
    if len(keys) == 1:
        return keys
    return [key for key in keys if key.rpartition(".")[2] in LABELS]


def _several(keys: Sequence[str]) -> str:
    return f"several columns ({', '.join(keys)})" if keys else "no column"
