"""Folders of pictures: sorted names are the classes, and what cannot be used is named."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hydrafy.errors import DataError, FileError
from hydrafy.ir.manifest import Normalisation
from hydrafy.runtime.data import stream
from hydrafy.runtime.data.takes import Takes

TAKES = Takes((3, 4, 4), 3)


def picture(path: Path, grey: int, size: tuple[int, int] = (4, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), grey, np.uint8)).save(path)


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """Three classes, written out of order; and what is no picture, or hidden."""
    picture(tmp_path / "dog" / "b.png", 102)
    picture(tmp_path / "dog" / "a.png", 51, (8, 8))
    picture(tmp_path / "cat" / "deep" / "c.JPG", 0, (4, 9))
    picture(tmp_path / "Owl" / "d.bmp", 255)
    picture(tmp_path / ".cache" / "e.png", 7)
    picture(tmp_path / "cat" / ".f.png", 7)
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / "cat" / "notes.txt").write_text("hello")
    return tmp_path


def test_sorted_folders_are_the_classes(zoo: Path) -> None:
    data = stream(zoo, TAKES).gather()
    assert data.labels.tolist() == [0, 1, 2, 2]
    assert data.labels.dtype == np.int64 and data.images.dtype == np.float32
    greys = np.array([1.0, 0.0, 0.2, 0.4], np.float32)
    np.testing.assert_allclose(
        data.images, np.broadcast_to(greys[:, None, None, None], (4, 3, 4, 4))
    )
    assert data.normalisation is None


def test_pixels_are_normalised(zoo: Path) -> None:
    norm = Normalisation((0.2,) * 3, (0.5,) * 3)
    data = stream(str(zoo), Takes((3, 4, 4), 3, norm)).gather()
    np.testing.assert_allclose(data.images[:, 1, 2, 3], [1.6, -0.4, 0.0, 0.4], atol=1e-6)
    assert data.normalisation == norm


def test_without_classes_all_pictures_below_count(zoo: Path) -> None:
    picture(zoo / "loose.png", 153)
    found = stream(zoo, Takes((3, 4, 4)))
    assert (found.count, found.labels) == (5, None)
    (batch,) = found.batches([1, 4])
    assert batch.images.shape == (2, 3, 4, 4)
    with pytest.raises(DataError, match="have no labels"):
        found.gather()


@pytest.mark.parametrize("classes", [2, 4])
def test_there_must_be_one_folder_for_each_class(zoo: Path, classes: int) -> None:
    with pytest.raises(
        DataError, match=rf"3 classes \(Owl, cat, dog\), but the model has {classes} "
    ):
        stream(zoo, Takes((3, 4, 4), classes))


def test_an_empty_folder_is_named(zoo: Path) -> None:
    (zoo / "dog" / "a.png").unlink()
    (zoo / "dog" / "b.png").unlink()
    with pytest.raises(DataError, match=r"class folder .*dog holds no picture"):
        stream(zoo, TAKES)
    with pytest.raises(DataError, match="dog holds no picture"):
        stream(zoo / "dog", Takes((3, 4, 4)))


def test_a_picture_that_cannot_be_read_is_named(zoo: Path) -> None:
    (zoo / "dog" / "b.png").write_bytes(b"no picture")
    with pytest.raises(FileError, match=r"b\.png is not an image"):
        stream(zoo, TAKES).gather()


def test_a_network_of_five_channels_takes_no_pictures(zoo: Path) -> None:
    with pytest.raises(DataError, match="5 channels"):
        stream(zoo, Takes((5, 4, 4), 3)).gather()
