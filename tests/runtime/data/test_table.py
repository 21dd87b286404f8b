"""Columns of pictures and labels are found by what they hold, or the error names them."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hydrafy.errors import DataError, FileError
from hydrafy.runtime.data.table import from_table
from hydrafy.runtime.data.takes import Takes
from hydrafy.train.data import Damaged, Stream

datasets = pytest.importorskip("datasets")
from datasets import ClassLabel, Features, Value  # noqa: E402

TAKES = Takes((3, 4, 4), 3)
NAMES = ["cat", "dog", "owl"]


def encoded(picture: Image.Image, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    picture.save(file, form)
    return file.getvalue()


GREY = encoded(Image.new("RGB", (4, 4), (51, 51, 51)))


def read(kinds: dict[str, Any], takes: Takes = TAKES, **columns: list[Any]) -> Stream:
    return from_table("here", datasets.Dataset.from_dict(columns, Features(kinds)), takes)


PICTURES = {"picture": datasets.Image()}


@pytest.mark.parametrize(
    ("kinds", "columns", "labels", "names"),
    [
        ({"a": Value("int64")}, {"a": [2, 0]}, [2, 0], ()),
        ({"a": ClassLabel(names=NAMES)}, {"a": [2, 0]}, [2, 0], NAMES),
        ({"a": Value("int8"), "cls": Value("uint8")}, {"a": [0, 0], "cls": [1, 2]}, [1, 2], ()),
        (
            {"a": Value("int8"), "b": ClassLabel(names=NAMES)},
            {"a": [9, 9], "b": [1, 2]}, [1, 2], NAMES,
        ),
        (
            {"coarse": ClassLabel(names=["x", "y"]), "fine": ClassLabel(names=NAMES)},
            {"coarse": [0, 1], "fine": [2, 1]}, [2, 1], NAMES,
        ),
        ({"json": {"label": Value("int64"), "width": Value("int64")}},
         {"json": [{"label": 2, "width": 9}, {"label": 0, "width": 9}]}, [2, 0], ()),
    ],
)  # fmt: skip
def test_labels_are_found(
    kinds: dict[str, Any], columns: dict[str, Any], labels: list[int], names: list[str]
) -> None:
    found = read({**PICTURES, **kinds}, picture=[GREY, GREY], **columns)
    assert found.labels is not None and found.labels.dtype == np.int64
    assert found.labels.tolist() == labels and found.classes == tuple(names)


def test_names_of_classes_in_a_column_of_text() -> None:
    kinds = {**PICTURES, "label": Value("string"), "note": Value("string")}
    words = ["owl", "cat", "dog"]
    found = read(kinds, picture=[GREY] * 3, label=words, note=["x"] * 3)
    assert found.labels is not None and found.classes == ("cat", "dog", "owl")
    assert found.labels.tolist() == [2, 0, 1]
    ours = Takes((3, 4, 4), 3, None, ("owl", "dog", "cat"))
    matched = read(kinds, ours, picture=[GREY] * 3, label=words, note=["x"] * 3)
    assert matched.labels is not None and matched.labels.tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    "kind",
    [
        datasets.Image(),
        datasets.Image(decode=False),
        Value("binary"),
        Value("large_binary"),
        {"bytes": Value("binary"), "path": Value("string")},
    ],
)
def test_pictures_are_found(kind: Any) -> None:
    pictures: list[Any] = [GREY, GREY]
    if isinstance(kind, dict):
        pictures = [{"bytes": GREY, "path": "a.png"}] * 2
    found = read({"any": kind, "id": Value("string")}, Takes((3, 4, 4)), any=pictures, id=["", ""])
    assert found.labels is None
    (batch,) = found.batches()
    np.testing.assert_allclose(batch.images, 0.2, atol=1e-6)


def test_pictures_of_every_mode_are_read_as_files_are() -> None:
    deep = Image.fromarray(np.full((4, 4), 51 * 257, np.uint16))
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 51, 51, 51])
    clear = Image.new("RGBA", (4, 4), (51, 51, 51, 128))
    cmyk = Image.new("CMYK", (4, 4), (0, 0, 0, 204))
    pictures = [encoded(one) for one in (deep, palette, clear)] + [encoded(cmyk, "TIFF")]
    (batch,) = read(PICTURES, Takes((3, 4, 4)), picture=pictures).batches()
    np.testing.assert_allclose(batch.images, 0.2, atol=1e-6)


@pytest.mark.parametrize(
    ("kinds", "columns", "sentence"),
    [
        ({"a": Value("float32")}, {"a": [0.5]}, r"no column of labels .*columns are picture, a\)"),
        ({"a": Value("int8"), "b": Value("int8")}, {"a": [0], "b": [0]}, "no column of labels"),
        (
            {"cls": Value("int8"), "label": Value("int8")}, {"cls": [0], "label": [0]},
            r"several columns \(cls, label\) of labels",
        ),
        ({"a": ClassLabel(names=["x", "y"])}, {"a": [0]}, r"2 classes \(x, y\), but the model"),
        ({"a": Value("int64")}, {"a": [3]}, "label 3 of here is out of range"),
        ({"a": ClassLabel(names=NAMES)}, {"a": [-1]}, "label -1 of here is out of range"),
        ({"a": Value("int64")}, {"a": [None]}, "labels of here are float32"),
        ({"a": Value("int64"), "b": datasets.Image()}, {"a": [0], "b": [GREY]},
         r"several columns \(picture, b\) of pictures"),
    ],
)  # fmt: skip
def test_what_is_missing_or_ambiguous_is_named(
    kinds: dict[str, Any], columns: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        read({**PICTURES, **kinds}, picture=[GREY], **columns)


def test_no_pictures_and_no_rows() -> None:
    with pytest.raises(DataError, match=r"here has no column of pictures .*columns are label\)"):
        read({"label": Value("int8")}, label=[0])
    with pytest.raises(DataError, match="here holds no images"):
        read({**PICTURES, "label": Value("int8")}, picture=[], label=[])


def test_damaged_and_missing_pictures_are_counted_and_named() -> None:
    pictures: list[Any] = [{"bytes": GREY, "path": None}] * 300
    pictures[7] = {"bytes": GREY[:45], "path": "seven.png"}
    pictures[8] = None
    pictures[9] = {"bytes": None, "path": "/nowhere/nine.png"}
    found = read(PICTURES, Takes((3, 4, 4)), picture=pictures)
    damaged = Damaged(found)
    batches = list(found.batches(size=2, damaged=damaged))
    assert sum(len(batch.rows) for batch in batches) == 297
    said = {row: str(error) for row, error in damaged.errors.items()}
    assert said[7].startswith("row 7 of here (seven.png) is not an image")
    assert said[8].startswith("row 8 of here has no picture in the column 'picture'")
    assert "nine.png" in said[9] and len(said) == 3
    with pytest.raises(FileError, match="row 7"):
        list(found.batches())
