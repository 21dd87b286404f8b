"""Pictures and arrays reach a network with the pixels and the size that it takes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hydrafy.errors import DataError, FileError, HydrafyError
from hydrafy.ir.manifest import Normalisation
from hydrafy.runtime import images

PLAIN = Normalisation((0.0,), (1.0,))
PLAIN3 = Normalisation((0.0,) * 3, (1.0,) * 3)


def picture(path: Path, array: np.ndarray) -> Path:
    Image.fromarray(array).save(path)
    return path


def test_a_picture_of_the_right_size_keeps_its_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    found = images.load([picture(tmp_path / "a.png", pixels)], (3, 8, 8), PLAIN3)
    assert found.names == (str(tmp_path / "a.png"),)
    assert found.array.dtype == np.float32
    np.testing.assert_allclose(found.array[0], pixels.transpose(2, 0, 1) / 255, atol=1e-7)


def test_normalisation_comes_after_scaling(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", np.full((4, 4), 51, np.uint8))
    found = images.load([path], (1, 4, 4), Normalisation((0.1,), (0.5,)))
    np.testing.assert_allclose(found.array, 0.2, atol=1e-6)


def test_the_middle_of_the_longer_side_is_kept(tmp_path: Path) -> None:
    pixels = np.zeros((10, 30), np.uint8)
    pixels[:, 10:20] = 255
    found = images.load([picture(tmp_path / "a.png", pixels)], (1, 10, 10), PLAIN)
    np.testing.assert_allclose(found.array, 1)
    shrunk = images.load([tmp_path / "a.png"], (1, 5, 5), PLAIN)
    assert shrunk.array.shape == (1, 1, 5, 5)
    assert shrunk.array[0, 0, 2, 2] == 1


def test_grey_and_colour_become_what_the_model_takes(tmp_path: Path) -> None:
    grey = picture(tmp_path / "grey.png", np.full((4, 4), 51, np.uint8))
    colour = picture(tmp_path / "colour.png", np.full((4, 4, 3), 51, np.uint8))
    deep = picture(tmp_path / "deep.png", np.full((4, 4), 51 * 257, np.uint16))
    for path in (grey, colour, deep):
        for channels, plain in ((1, PLAIN), (3, PLAIN3)):
            found = images.load([path], (channels, 4, 4), plain).array
            np.testing.assert_allclose(found, 0.2, atol=1e-6)
            assert found.shape == (1, channels, 4, 4)


def test_arrays_of_bytes_in_either_layout_and_floats_as_they_stand(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 4), dtype=np.uint8)
    halves = Normalisation((0.5,) * 3, (0.5,) * 3)
    np.save(tmp_path / "first.npy", pixels)
    np.save(tmp_path / "last.npy", pixels.transpose(0, 2, 3, 1))
    np.save(tmp_path / "one.npy", pixels[0].transpose(1, 2, 0))
    np.save(tmp_path / "float.npy", (pixels / 127.5 - 1).astype(np.float64))
    names = ("first", "last", "one", "float")
    found = images.load([tmp_path / f"{name}.npy" for name in names], (3, 5, 4), halves)
    assert [Path(n).name for n in found.names] == [
        "first.npy[0]", "first.npy[1]", "last.npy[0]", "last.npy[1]",
        "one.npy", "float.npy[0]", "float.npy[1]",
    ]  # fmt: skip
    expected = pixels / 127.5 - 1
    np.testing.assert_allclose(found.array[:2], expected, atol=1e-6)
    np.testing.assert_allclose(found.array[2:4], expected, atol=1e-6)
    np.testing.assert_allclose(found.array[4], expected[0], atol=1e-6)
    np.testing.assert_allclose(found.array[5:], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("array", "shape", "says"),
    [
        (np.zeros((2, 4, 4), np.uint8), (3, 4, 4), "[2, 4, 4]"),
        (np.zeros((4, 4), np.uint8), (1, 4, 4), "[4, 4]"),
        (np.zeros((1, 4, 4), np.int32), (1, 4, 4), "int32"),
        (np.zeros((0, 1, 4, 4), np.uint8), (1, 4, 4), "no image"),
    ],
)
def test_arrays_that_do_not_fit(
    tmp_path: Path, array: np.ndarray, shape: tuple[int, int, int], says: str
) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError) as raised:
        images.load([tmp_path / "a.npy"], shape, PLAIN)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.png", None, FileError),
        ("a.png", b"no picture", FileError),
        ("a.npy", b"no array", FileError),
        ("a.npy", b"", FileError),
    ],
)
def test_files_that_are_no_images(
    tmp_path: Path, name: str, content: bytes | None, error: type[HydrafyError]
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=name):
        images.load([tmp_path / name], (1, 4, 4), PLAIN)


def test_a_truncated_picture_is_refused(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = picture(tmp_path / "a.png", pixels)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(FileError, match="damaged"):
        images.load([path], (3, 64, 64), PLAIN3)


def test_pictures_have_one_or_three_channels(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match="5 channels"):
        images.load([path], (5, 4, 4), Normalisation((0.0,) * 5, (1.0,) * 5))


def test_whose_normalisation_is_used() -> None:
    own = Normalisation((0.1,), (0.2,))
    assert images.choose(1, own)[0] == own
    assert images.choose(3, None)[0] == images.IMAGENET
    assert images.choose(1, None)[0] == PLAIN
    assert images.choose(3, None, mean=(0.5,))[0] == Normalisation((0.5,) * 3, (1.0,) * 3)
    assert images.choose(1, None, std=(2.0,))[0] == Normalisation((0.0,), (2.0,))
    with pytest.raises(DataError, match="records"):
        images.choose(1, own, mean=(0.5,))
    with pytest.raises(DataError, match="2 numbers"):
        images.choose(3, None, mean=(0.5, 0.5))
    with pytest.raises(DataError, match="above 0"):
        images.choose(1, None, std=(0.0,))
