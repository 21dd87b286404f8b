"""Folders of pictures: sorted names are the classes, and what cannot be used is named."""

import multiprocessing
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hydrafy.errors import DataError, FileError
from hydrafy.ir.manifest import Normalisation
from hydrafy.runtime.data import stream
from hydrafy.runtime.data.takes import Takes
from hydrafy.train.data import Damaged

TAKES = Takes((3, 4, 4), 3)
TAKES_ALL = Takes((3, 4, 4))


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


def test_damaged_pictures_are_left_out_and_counted(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for name in ("good.png", "cut.png", "cut.jpg", "empty.png"):
        Image.fromarray(noise).save(tmp_path / name)
    for name in ("cut.png", "cut.jpg"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:700])
    (tmp_path / "empty.png").write_bytes(b"")
    for number in range(396):
        shutil.copy(tmp_path / "good.png", tmp_path / f"good{number}.png")
    found = stream(tmp_path, TAKES_ALL)
    damaged = Damaged(found)
    batches = list(found.batches(size=2, damaged=damaged))  # the first two are a batch
    assert sum(len(batch.rows) for batch in batches) == 397 and all(len(b.rows) for b in batches)
    assert sorted(damaged.errors) == [0, 1, 2]
    assert [Path(str(e).split()[0]).name for e in damaged.errors.values()] == [
        "cut.jpg", "cut.png", "empty.png",
    ]  # fmt: skip
    for number in range(200):
        (tmp_path / f"good{number}.png").unlink()
    few = stream(tmp_path, TAKES_ALL)
    with pytest.raises(DataError, match=r"3 of the 200 images .*, more than 1%; .*cut\.jpg is not"):
        list(few.batches(damaged=Damaged(few)))


def test_classes_are_matched_by_name(zoo: Path) -> None:
    ours = ("dog", "emu", "cat", "Owl")
    found = stream(zoo, Takes((3, 4, 4), 4, None, ours))
    assert found.classes == ours and found.labels is not None
    assert found.labels.tolist() == [3, 2, 0, 0]
    with pytest.raises(DataError, match=r"class 'Owl', which the model does not know: .*'owl'"):
        stream(zoo, Takes((3, 4, 4), 3, None, ("cat", "dog", "owl")))


def test_the_sources_own_classes_are_told(zoo: Path) -> None:
    assert stream(zoo, TAKES).classes == ("Owl", "cat", "dog")
    assert stream(zoo, TAKES_ALL).classes == ()


def test_any_order_and_in_another_process(zoo: Path) -> None:
    found = stream(zoo, TAKES)
    assert found.pictures
    (batch,) = found.batches([3, 0, 2, 0])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        ((apart, errors),) = pool.map(found.load, [[3, 0, 2, 0]])
    np.testing.assert_array_equal(apart.images, batch.images)
    np.testing.assert_allclose(apart.images[:, 0, 0, 0], [0.4, 1.0, 0.2, 1.0], atol=1e-6)
    assert errors == {}


def test_a_border_is_cut_off_where_it_is_asked_for(tmp_path: Path) -> None:
    framed = np.zeros((8, 8, 3), np.uint8)
    framed[2:6, 2:6] = 255
    Image.fromarray(framed).save(tmp_path / "a.png")
    corners = []
    for resize in (1.0, 2.0):
        (batch,) = stream(tmp_path, Takes((3, 4, 4), None, None, (), resize)).batches()
        corners.append(batch.images[0, 0, 0, 0])
    assert corners[0] < 0.1 and corners[1] == 1


def test_a_folder_without_class_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no class folders"):
        stream(tmp_path, TAKES)


def test_a_network_of_five_channels_takes_no_pictures(zoo: Path) -> None:
    with pytest.raises(DataError, match="5 channels"):
        stream(zoo, Takes((5, 4, 4), 3)).gather()
