"""Pictures of every kind become what a network takes, and damaged ones are named."""

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hydrafy.errors import DataError, FileError
from hydrafy.runtime.picture import BORDER, attempted, picture, usual_resize

NOISE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
LARGE = (3, 224, 224)


def encoded(image: Image.Image, form: str, **words: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **words)
    return file.getvalue()


def test_a_border_is_cut_off_for_networks_of_imagenets_size() -> None:
    assert usual_resize((3, 32, 32)) == usual_resize((1, 8, 8)) == usual_resize((3, 224, 96)) == 1
    assert usual_resize((3, 224, 224)) == usual_resize((3, 128, 160)) == BORDER
    assert round(224 * BORDER) == 256 and round(299 * BORDER) == 342  # as Inception is judged


@pytest.mark.parametrize(
    ("size", "resized", "left", "top"),
    [
        ((500, 375), (341, 256), 58, 16),  # 256 * 500 / 375 = 341.3; (341 - 224) / 2 = 58.5 to even
        ((333, 500), (256, 384), 16, 80),
        ((400, 401), (256, 256), 16, 16),
        ((100, 300), (256, 768), 16, 272),
        ((224, 225), (256, 257), 16, 16),
    ],
)
def test_pictures_are_resized_and_cropped_as_torchvision_does(
    size: tuple[int, int], resized: tuple[int, int], left: int, top: int
) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    whole = Image.fromarray(pixels)
    wanted = np.asarray(whole.resize(resized, Image.Resampling.BILINEAR), np.float32) / 255
    found = picture(encoded(whole, "PNG"), "a", LARGE, BORDER)
    wanted = wanted[top : top + 224, left : left + 224].transpose(2, 0, 1)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_picture_of_the_networks_size_is_taken_as_it_is() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    found = picture(encoded(Image.fromarray(pixels), "PNG"), "a", LARGE, BORDER)
    np.testing.assert_allclose(found, pixels.transpose(2, 0, 1) / 255, atol=1e-6)


def test_a_size_that_is_not_square() -> None:
    wide = Image.fromarray(NOISE)  # 96 by 64
    found = picture(encoded(wide, "PNG"), "a", (3, 16, 48))
    wanted = np.asarray(wide.resize((48, 32), Image.Resampling.BILINEAR))[8:24] / 255
    np.testing.assert_allclose(found, wanted.transpose(2, 0, 1), atol=1e-6)


def test_a_file_and_its_bytes_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(Image.fromarray(NOISE), "JPEG"))
    both = [tmp_path / "a.jpg", (tmp_path / "a.jpg").read_bytes()]
    one, other = (picture(source, "a", (3, 32, 32), 1.25) for source in both)
    np.testing.assert_array_equal(one, other)
    assert one.shape == (3, 32, 32) and one.dtype == np.float32


def test_every_mode_becomes_colour_and_grey() -> None:
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 51, 51, 51])
    sources = [
        encoded(palette, "PNG", transparency=bytes([0, 9])),
        encoded(palette, "GIF"),
        encoded(Image.new("LA", (8, 8), (51, 0)), "PNG"),
        encoded(Image.new("RGBA", (8, 8), (51, 51, 51, 9)), "WEBP", lossless=True),
        encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 204)), "TIFF"),
        encoded(Image.fromarray(np.full((8, 8), 51 * 257, np.uint16)), "PNG"),
        encoded(Image.fromarray(np.full((8, 8), 51 * 257, np.int32)), "TIFF"),
    ]
    for source in sources:
        for channels in (1, 3):
            found = picture(source, "a", (channels, 8, 8))
            np.testing.assert_allclose(found, np.full((channels, 8, 8), 0.2), atol=1e-6)


def test_a_picture_is_turned_as_its_camera_was() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned clockwise by a quarter
    found = picture(encoded(Image.fromarray(NOISE), "PNG", exif=turned), "a", (3, 96, 64))
    wanted = np.rot90(NOISE, -1).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_a_picture_that_is_cut_off_is_named(form: str) -> None:
    whole = encoded(Image.fromarray(NOISE), form)
    assert isinstance(attempted(whole, "a", (3, 8, 8)), np.ndarray)
    for share in (0, 0.01, 0.2, 0.5, 0.9):
        found = attempted(whole[: int(share * len(whole))], "cut", (3, 8, 8))
        assert isinstance(found, FileError), share
        assert str(found) == "cut is not an image that can be read, or it is damaged"
        assert found.__traceback__ is found.__cause__ is found.__context__ is None


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_damage_never_raises_anything_else_nor_warns(form: str) -> None:
    rng, meta = np.random.default_rng(0), Image.Exif()
    meta[0x0112], meta[0x010E] = 6, "hello"
    whole = encoded(Image.fromarray(NOISE[::8, ::8]), form, exif=meta)
    kinds = set()
    for _ in range(150):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            damaged[place] = rng.integers(0, 256)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            kinds.add(type(attempted(bytes(damaged), "a", (3, 8, 8))))
    assert kinds == ({FileError} if form == "PNG" else {np.ndarray, FileError})  # PNG has sums


def test_what_no_network_can_be_shown() -> None:
    floats = encoded(Image.fromarray(np.full((8, 8), 0.5, np.float32)), "TIFF")
    assert isinstance(attempted(floats, "a", (1, 8, 8)), FileError)
    with pytest.raises(DataError, match="5 channels, and a is a picture"):
        attempted(b"", "a", (5, 8, 8))
    with pytest.raises(FileError, match=r"none\.png is not an image"):
        picture(Path("none.png"), "none.png", (1, 8, 8))
