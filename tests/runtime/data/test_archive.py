"""The images and labels of .npz files, a few at a time, as a network takes them."""

import io
import pickle
import shutil
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hydrafy.errors import DataError, FileError
from hydrafy.ir.manifest import Normalisation
from hydrafy.runtime.data import stream
from hydrafy.runtime.data.takes import Takes
from hydrafy.train.data import Data

SHAPE = (3, 4, 5)
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, *SHAPE), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])
NORM = Normalisation((0.5, 0.4, 0.3), (0.2, 0.25, 0.5))


def load(file: Path, normalisation: Normalisation | None = None) -> Data:
    return stream(file, Takes(SHAPE, 3, normalisation)).gather()


def write(folder: Path, **arrays: np.ndarray) -> Path:
    file = folder / "data.npz"
    np.savez(file, **arrays)
    return file


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 2, 3, 1)])
def test_pixels_are_scaled_and_normalised_in_either_layout(tmp_path: Path, axes: tuple) -> None:
    file = write(tmp_path, x=PIXELS.transpose(axes), y=LABELS.astype(np.uint8))
    plain = load(file)
    np.testing.assert_allclose(plain.images, PIXELS / 255, rtol=1e-6)
    assert plain.normalisation is None and len(plain) == 6
    data = load(file, NORM)
    np.testing.assert_allclose(data.images[:, 2], (PIXELS[:, 2] / 255 - 0.3) / 0.5, rtol=1e-5)
    assert (data.images.dtype, data.labels.dtype) == (np.float32, np.int64)
    assert data.normalisation == NORM and data.labels.tolist() == LABELS.tolist()
    assert data.images.flags.c_contiguous


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floats_are_taken_as_they_stand(tmp_path: Path, kind: type) -> None:
    x = RNG.standard_normal((6, *SHAPE)).astype(kind)
    data = load(write(tmp_path, x=x, y=LABELS), NORM)
    np.testing.assert_array_equal(data.images, x.astype(np.float32))
    assert data.normalisation is None and data.images.dtype == np.float32


def test_a_file_larger_than_memory_is_read_in_pieces(tmp_path: Path) -> None:
    x = RNG.integers(0, 256, (2000, 32, 32, 3), dtype=np.uint8)  # 6 MB, 25 MB as floats
    np.savez_compressed(tmp_path / "data.npz", x=x, y=np.arange(2000))
    takes = Takes((3, 32, 32), 2000)
    list(stream(tmp_path / "data.npz", takes).batches(range(1)))  # what loads once
    tracemalloc.start()
    seen = 0
    for batch in stream(tmp_path / "data.npz", takes).batches():
        np.testing.assert_allclose(batch.images[0], x[seen].transpose(2, 0, 1) / 255, rtol=1e-6)
        seen += len(batch.rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == 2000
    assert peak < x.nbytes, peak


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_are_those_that_were_asked_for(tmp_path: Path, write: object, order: str) -> None:
    x = np.asarray(RNG.standard_normal((9, *SHAPE)), np.float32, order=order)
    write(tmp_path / "data.npz", x=x, y=np.arange(9))
    found = stream(tmp_path / "data.npz", Takes(SHAPE))
    assert found.labels is None and found.count == 9
    for rows in ([0, 1, 2, 3, 8], [5], [], range(9), [7, 0, 8, 0, 3]):
        parts = [batch.images for batch in found.batches(rows, size=2)]
        assert [len(part) for part in parts] == [2] * (len(rows) // 2) + [1] * (len(rows) % 2)
        np.testing.assert_array_equal(np.concatenate([*parts, x[:0]]), x[rows])


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_neither_is_held_where_rows_are_shuffled(tmp_path: Path, write: object) -> None:
    x = RNG.integers(0, 256, (2000, 32, 32, 3), dtype=np.uint8)
    write(tmp_path / "data.npz", y=np.arange(2000), x=x)
    found = stream(tmp_path / "data.npz", Takes((3, 32, 32), 2000))
    rows = np.random.default_rng(1).permutation(2000)
    tracemalloc.start()
    for batch in found.batches(rows):
        wanted = x[batch.rows].transpose(0, 3, 1, 2) / np.float32(255)
        np.testing.assert_array_equal(batch.images, wanted)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes / 2, peak


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_another_process_maps_it_anew(tmp_path: Path, write: object) -> None:
    write(tmp_path / "data.npz", x=PIXELS, y=LABELS)
    found = stream(tmp_path / "data.npz", Takes(SHAPE, 3))
    (batch,) = found.batches([4, 1])
    pickled = pickle.dumps(found)
    assert len(pickled) < 2000
    (again,) = pickle.loads(pickled).batches([4, 1])
    np.testing.assert_array_equal(batch.images, again.images)


def test_what_is_compressed_needs_room_to_be_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "data.npz", x=PIXELS, y=LABELS)
    full = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: full)
    with pytest.raises(FileError, match=r"data\.npz is compressed, .* set TMPDIR"):
        load(tmp_path / "data.npz")


def test_classes_are_named_and_matched(tmp_path: Path) -> None:
    for kind in ("S", "U"):
        names = np.array(["owl", "cat", "dog"], kind)
        file = write(tmp_path, x=PIXELS, y=LABELS, classes=names)
        assert stream(file, Takes(SHAPE, 3)).classes == ("owl", "cat", "dog")
    found = stream(file, Takes(SHAPE, 4, None, ("cat", "dog", "emu", "owl")))
    assert found.labels is not None and found.labels.tolist() == [3, 0, 1, 3, 0, 1]
    assert stream(file, Takes(SHAPE)).classes == ()
    for names in (np.array([1, 2, 3]), np.array([["a"]])):
        with pytest.raises(DataError, match="array 'classes' of"):
            load(write(tmp_path, x=PIXELS, y=LABELS, classes=names))


def test_labels_are_not_needed_where_they_do_not_matter(tmp_path: Path) -> None:
    assert stream(write(tmp_path, x=PIXELS), Takes(SHAPE)).labels is None


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"x": PIXELS}, r"no array 'y' \(it has x\)"),
        ({"images": PIXELS, "y": LABELS}, r"no array 'x' \(it has images, y\)"),
        ({"x": PIXELS, "y": LABELS[:4]}, "6 images but 4 labels"),
        ({"x": PIXELS[:0], "y": LABELS[:0]}, "holds no images"),
        ({"x": PIXELS, "y": LABELS / 2}, "labels of .* are float64"),
        ({"x": PIXELS, "y": LABELS[:, None]}, r"shape \[6, 1\]"),
        ({"x": PIXELS, "y": LABELS + 103}, "label 103 .* the model has 3 classes"),
        ({"x": PIXELS, "y": LABELS - 1}, "label -1 "),
        ({"x": PIXELS[:, :, :3], "y": LABELS}, r"\[6, 3, 3, 5\].* takes \[N, 3, 4, 5\]"),
        ({"x": PIXELS[:, 0], "y": LABELS}, r"\[6, 4, 5\]"),
        ({"x": PIXELS.transpose(0, 2, 3, 1) / 255, "y": LABELS}, r"\[6, 4, 5, 3\]"),
        ({"x": PIXELS.astype(int), "y": LABELS}, "images of .* are int64"),
        ({"x": np.where(PIXELS[0] == PIXELS, np.nan, 1.0), "y": LABELS}, "NaN"),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(
    tmp_path: Path, arrays: dict[str, np.ndarray], sentence: str
) -> None:
    file = write(tmp_path, **arrays)
    with pytest.raises(DataError, match=sentence) as caught:
        load(file)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_a_normalisation_for_other_channels_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, x=PIXELS, y=LABELS)
    with pytest.raises(DataError, match="1 means"):
        load(file, Normalisation((0.5,), (0.5,)))


def test_files_that_are_no_npz(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no file"):
        load(tmp_path / "none.npz")
    text = tmp_path / "text.npz"
    text.write_text("hello")
    single = tmp_path / "single.npy"
    np.save(single, PIXELS)
    cut = tmp_path / "cut.npz"
    cut.write_bytes(write(tmp_path, x=PIXELS, y=LABELS).read_bytes()[:200])
    empty = tmp_path / "empty.npz"
    empty.touch()
    short = tmp_path / "short.npz"  # an array that is not as long as it says
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**9, *SHAPE)}
    )
    with zipfile.ZipFile(short, "w") as content:
        for key in "xy":
            content.writestr(f"{key}.npy", header.getvalue() + bytes(100))
    damaged = tmp_path / "damaged.npz"
    whole = bytearray(write(tmp_path, x=PIXELS, y=LABELS).read_bytes())
    whole[whole.index(PIXELS.tobytes()) + 7] ^= 255
    damaged.write_bytes(whole)
    objects = write(tmp_path, x=np.array([{}], dtype=object), y=LABELS)
    packed = tmp_path / "packed.npz"
    np.savez_compressed(packed, x=PIXELS, y=LABELS)
    content = bytearray(packed.read_bytes())
    content[content.index(b"x.npy") + 200] ^= 255
    packed.write_bytes(content)
    for file in (text, single, cut, objects, empty, short, damaged, packed):
        with pytest.raises(FileError, match=r"not an \.npz file"):
            load(file)
