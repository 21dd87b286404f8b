import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hydrafy.errors import DataError, FileError
from hydrafy.ir.manifest import Normalisation
from hydrafy.train.data import load

SHAPE = (3, 4, 5)
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, *SHAPE), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])
NORM = Normalisation((0.5, 0.4, 0.3), (0.2, 0.25, 0.5))


def write(folder: Path, **arrays: np.ndarray) -> Path:
    file = folder / "data.npz"
    np.savez(file, **arrays)
    return file


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 2, 3, 1)])
def test_pixels_are_scaled_and_normalised_in_either_layout(tmp_path: Path, axes: tuple) -> None:
    file = write(tmp_path, x=PIXELS.transpose(axes), y=LABELS.astype(np.uint8))
    plain = load(file, shape=SHAPE, classes=3)
    np.testing.assert_allclose(plain.images, PIXELS / 255, rtol=1e-6)
    assert plain.normalisation is None and len(plain) == 6
    data = load(file, shape=SHAPE, classes=3, normalisation=NORM)
    np.testing.assert_allclose(data.images[:, 2], (PIXELS[:, 2] / 255 - 0.3) / 0.5, rtol=1e-5)
    assert (data.images.dtype, data.labels.dtype) == (np.float32, np.int64)
    assert data.normalisation == NORM and data.labels.tolist() == LABELS.tolist()
    assert data.images.flags.c_contiguous


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floats_are_taken_as_they_stand(tmp_path: Path, kind: type) -> None:
    x = RNG.standard_normal((6, *SHAPE)).astype(kind)
    data = load(write(tmp_path, x=x, y=LABELS), shape=SHAPE, classes=3, normalisation=NORM)
    np.testing.assert_array_equal(data.images, x.astype(np.float32))
    assert data.normalisation is None and data.images.dtype == np.float32


def test_the_digits_are_divided_once_and_for_all() -> None:
    train, test = (load("digits", shape=(1, 8, 8), classes=10, split=s) for s in ("train", "test"))
    assert (len(train), len(test)) == (1347, 450)
    assert not {i.tobytes() for i in train.images} & {i.tobytes() for i in test.images}
    shares = np.bincount(test.labels) / np.bincount(np.r_[train.labels, test.labels])
    assert (abs(shares - 0.25) < 0.01).all()
    again = load("digits", shape=(1, 8, 8), classes=10, split="test")
    np.testing.assert_array_equal(again.images, test.images)
    assert (train.images.min(), train.images.max()) == (0, 1)


def test_the_digits_are_enlarged_bilinearly_as_torch_does() -> None:
    import torch

    small = load("digits", shape=(1, 8, 8), classes=10, split="test").images
    large = load("digits", shape=(3, 32, 20), classes=10, split="test").images
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(small), size=(32, 20), mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(large, np.repeat(wanted.numpy(), 3, 1), atol=1e-6)


def test_loading_does_not_load_torch(tmp_path: Path) -> None:
    code = "import sys; import hydrafy.train.data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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
        load(file, shape=SHAPE, classes=3)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_a_normalisation_for_other_channels_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, x=PIXELS, y=LABELS)
    with pytest.raises(DataError, match="1 means"):
        load(file, shape=SHAPE, classes=3, normalisation=Normalisation((0.5,), (0.5,)))


def test_files_that_are_no_npz(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no file"):
        load(tmp_path / "none.npz", shape=SHAPE, classes=3)
    text = tmp_path / "text.npz"
    text.write_text("hello")
    single = tmp_path / "single.npy"
    np.save(single, PIXELS)
    cut = tmp_path / "cut.npz"
    cut.write_bytes(write(tmp_path, x=PIXELS, y=LABELS).read_bytes()[:200])
    objects = write(tmp_path, x=np.array([{}], dtype=object), y=LABELS)
    empty = tmp_path / "empty.npz"
    empty.touch()
    for file in (text, single, cut, objects, empty, tmp_path):
        with pytest.raises(FileError, match=r"not an \.npz file"):
            load(file, shape=SHAPE, classes=3)
