"""`hydrafy convert` with images: partition from data, BatchNorm restored, one line on progress."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hydrafy.ir.program import Program
from tests.cli.conftest import Invoke

FEW = ("--recipe", "dynk", "--set", "branches=3", "--set", "k=2", "--set", "split=stage2")


@pytest.fixture(scope="module")
def folded(hydrafy: Invoke, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of ten classes of grey images, whose exporter folded BatchNorm."""
    file = tmp_path_factory.mktemp("folded") / "net.onnx"
    small = ("--set", "width=8", "--set", "size=16", "--set", "channels=1")
    done = hydrafy("zoo", "resnet8", *small, "--fold", "-o", file)
    assert done.exit_code == 0, done.stderr
    return file


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten class folders of two pictures each."""
    place = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for label in range(10):
        (place / f"class{label}").mkdir()
        for number in range(2):
            pixels = rng.integers(0, 256, (20, 16), dtype=np.uint8)
            Image.fromarray(pixels).save(place / f"class{label}" / f"{number}.png")
    return place


def test_both_from_a_folder(hydrafy: Invoke, folded: Path, pictures: Path, tmp_path: Path) -> None:
    target = tmp_path / "net.dynk.onnx"
    words = ("--data", pictures, "--restore-batchnorm", pictures, "--mean", "0.5", "--std", "0.25")
    done = hydrafy("convert", folded, *FEW, *words, "-o", target, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["output"] == str(target)
    lines = done.stderr.splitlines()
    assert lines[0].startswith("Normalisation of the pixels: as given. Pictures are")
    assert "statistics of layers: 20 of 20 images" in lines
    assert "features of classes: 20 of 20 images" in lines
    made = Program.load(target).manifest
    assert made.normalisation is not None and made.normalisation.std == (0.25,)
    notes = {entry.by: entry.notes for entry in made.journal}
    assert notes["restore-batchnorm"] == ("7 BatchNormalizations are restored",)


def test_finetune_names_the_option_once(hydrafy: Invoke, folded: Path, tmp_path: Path) -> None:
    plain, restored = tmp_path / "plain.onnx", tmp_path / "restored.onnx"
    assert hydrafy("convert", folded, *FEW, "-o", plain).exit_code == 0
    words = ("--restore-batchnorm", "digits")
    assert hydrafy("convert", folded, *FEW, *words, "-o", restored).exit_code == 0
    train = ("--data", "digits", "--epochs", "1", "--batch-size", "256")
    for file, advised in ((plain, 1), (restored, 0)):
        done = hydrafy("finetune", file, *train, "-o", file.with_suffix(".tuned.onnx"))
        assert done.exit_code == 0, done.stderr
        lines = [line for line in done.stderr.splitlines() if "--restore-batchnorm DATA" in line]
        assert len(lines) == advised


def test_finetune_takes_a_folder_too(
    hydrafy: Invoke, pictures: Path, tmp_path: Path, road: dict[str, Path]
) -> None:
    target = tmp_path / "tuned.onnx"
    words = ("--data", pictures, "--epochs", "1", "--batch-size", "10", "-o", target, "--json")
    done = hydrafy("finetune", road["dynamic"], *words)
    assert done.exit_code == 0, done.stderr
    manifest = Program.load(json.loads(done.stdout)["output"]).manifest
    assert manifest.classes == tuple(f"class{label}" for label in range(10))


@pytest.mark.parametrize(
    ("option", "make", "sentence"),
    [
        ("--data", lambda place: (place / "one").mkdir(), "one holds no picture"),
        ("--data", lambda place: np.savez(place / "d.npz", x=1), "holds no class folders"),
        ("--restore-batchnorm", lambda place: None, "holds no picture"),
    ],
)
def test_a_folder_that_does_not_fit(
    hydrafy: Invoke, folded: Path, tmp_path: Path, option: str, make: object, sentence: str
) -> None:
    make(tmp_path)
    done = hydrafy("convert", folded, *FEW, option, tmp_path, "-o", tmp_path / "o.onnx")
    assert done.exit_code == 2 and sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1 and not (tmp_path / "o.onnx").exists()


def test_a_class_without_images_is_named(hydrafy: Invoke, folded: Path, tmp_path: Path) -> None:
    x = np.zeros((9, 1, 16, 16), np.uint8)
    np.savez(tmp_path / "d.npz", x=x, y=np.delete(np.arange(10), 3))
    words = ("--data", tmp_path / "d.npz", "-o", tmp_path / "o.onnx")
    done = hydrafy("convert", folded, *FEW, *words)
    assert done.exit_code == 2 and "class 3 has no image in" in done.stderr
    assert len(done.stderr.splitlines()) == 1
