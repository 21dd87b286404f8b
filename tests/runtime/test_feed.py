"""Images reach a program in its layout, and the user hears what happens to their pixels."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hydrafy.errors import DataError, OptionError
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Normalisation
from hydrafy.ir.program import Program
from hydrafy.runtime.data import stream
from hydrafy.runtime.data.takes import Takes
from hydrafy.runtime.feed import feed, opened
from hydrafy.runtime.finetune import finetune
from hydrafy.runtime.measure import class_features, moments
from hydrafy.runtime.run import run
from hydrafy.train.data import Data
from hydrafy.train.options import Options
from hydrafy.train.schedule import Phase, Schedule
from tests.train.programs import Sketch


def network(*, last: bool) -> Program:
    """Two biased convolutions over images of 6x5, in either layout; same weights."""
    s = Sketch(("N", 6, 5, 3) if last else ("N", 3, 6, 5))
    x = s.op("Transpose", [s.x], "first", perm=[0, 3, 1, 2]) if last else s.x
    y = s.op("Relu", [s.conv(x, "one", 4, 3)], "relu")
    return s.program(s.linear(s.pooled(s.conv(y, "two", 4, 3), "head"), "fc", 2))


PIXELS = np.random.default_rng(0).integers(0, 256, (8, 3, 6, 5), dtype=np.uint8)
LABELS = np.arange(8) % 2
FIRST, LAST = network(last=False), network(last=True)
PHASE = Phase(epochs=2, batch_size=4, optimiser="adamw", learning_rate=1e-3)
OPTIONS = Options(Schedule("two epochs", "a test", (PHASE,)), augment=("crop", "flip"))


def test_both_layouts_compute_the_same() -> None:
    x = PIXELS.astype(np.float32)
    found = [Session(p, threads=1).run(feed(p, x))["fc"] for p in (FIRST, LAST)]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_both_layouts_measure_the_same() -> None:
    source = stream(Data(PIXELS.astype(np.float32) / 255, LABELS), Takes((3, 6, 5), 2))
    first, last = (moments(p, source, lambda *_: None) for p in (FIRST, LAST))
    assert list(first) == list(last) == ["one", "two"]
    for name, one in first.items():
        np.testing.assert_allclose(one.variance, last[name].variance, rtol=1e-5)
    means = [class_features(p, source, lambda *_: None) for p in (FIRST, LAST)]
    np.testing.assert_allclose(means[0], means[1], rtol=1e-5)


def test_both_layouts_train_and_run_the_same(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=PIXELS.transpose(0, 2, 3, 1), y=LABELS)
    np.save(tmp_path / "image.npy", PIXELS)
    scores = []
    for number, program in enumerate((FIRST, LAST)):
        file = program.save(tmp_path / f"{number}.onnx")
        tuned = finetune(file, tmp_path / "data.npz", OPTIONS, mean=(0.5,)).program
        tuned.save(tmp_path / f"{number}.tuned.onnx")
        found = run(tmp_path / f"{number}.tuned.onnx", [tmp_path / "image.npy"], best=1)
        scores.append([(one.top[0].label, one.top[0].score) for one in found.predictions])
        before = run(file, [tmp_path / "image.npy"], best=1, mean=(0.5,))
        assert before.predictions[0].top[0].score != scores[-1][0][1]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "words", "whose", "remark"),
    [
        (np.uint8, {}, "ImageNet's", "Normalisation of the pixels: ImageNet's, because"),
        (np.uint8, {"mean": (0.5,)}, "as given", "Normalisation of the pixels: as given."),
        (np.float32, {"std": (0.5,)}, None, "Images of floats are taken as they stand"),
        (np.float32, {}, None, ""),
    ],
)
def test_what_the_user_hears(
    kind: type, words: dict[str, tuple[float, ...]], whose: str | None, remark: str
) -> None:
    found = opened(FIRST, PIXELS.astype(kind), labelled=False, **words)
    assert found.remark.startswith(remark) and bool(found.remark) == bool(remark)
    assert (found.whose or "").startswith(whose or "") and (found.whose is None) == (whose is None)
    given = Normalisation((0.5,) * 3, (1.0,) * 3)
    assert whose != "as given" or found.stream.normalisation == given


def large() -> Program:
    """A network for images of ImageNet's size, of two classes."""
    s = Sketch(("N", 3, 224, 224))
    return s.program(s.linear(s.pooled(s.x, "pool"), "fc", 2))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes with a picture each, white within a black border."""
    pixels = np.zeros((256, 256, 3), np.uint8)
    pixels[16:240, 16:240] = 255
    for name in ("cat", "dog"):
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "set" / name / "a.png")
    return tmp_path / "set"


def test_the_user_hears_how_pictures_are_made_to_fit(folder: Path) -> None:
    found = opened(large(), folder, mean=(0.0,))
    assert found.remark.endswith("resized to cover 256x256, and the middle 224x224 is kept.")
    assert next(found.stream.batches()).images.min() == 1  # the border is gone
    whole = opened(large(), folder, mean=(0.0,), resize=1)
    assert whole.remark.endswith("resized to cover 224x224, and what is over is cut off.")
    assert next(whole.stream.batches()).images.min() == 0
    small = opened(FIRST, folder, mean=(0.0,))
    assert small.remark.endswith("resized to cover 6x5, and what is over is cut off.")
    for resize in (0.5, float("nan"), float("inf")):
        with pytest.raises(OptionError, match=r"resize = .* makes no sense"):
            opened(FIRST, folder, resize=resize)


def test_classes_that_a_file_records_are_matched_by_name(folder: Path) -> None:
    program = network(last=False)
    program.manifest = dataclasses.replace(program.manifest, classes=("dog", "cat"))
    found = opened(program, folder).stream
    assert found.classes == ("dog", "cat")
    assert found.labels is not None and found.labels.tolist() == [1, 0]
    program.manifest = dataclasses.replace(program.manifest, classes=("dog", "cats"))
    with pytest.raises(DataError, match=r"class 'cat', .* did you mean 'cats'"):
        opened(program, folder)
    assert opened(program, folder, labelled=False).stream.labels is None


def test_either_part_of_the_digits() -> None:
    s = Sketch(("N", 1, 8, 8))
    program = s.program(s.linear(s.pooled(s.x, "pool"), "fc", 10))
    parts = [opened(program, "digits", split=split).stream for split in ("train", "test")]
    assert [part.count for part in parts] == [1347, 450]
