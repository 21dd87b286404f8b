"""A file, images and labels become a trained program, whose pixels are what the file says."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hydrafy.errors import DataError, FileError, ModelError, OptionError
from hydrafy.ir.program import Program
from hydrafy.runtime import teacher
from hydrafy.runtime.convert import convert
from hydrafy.runtime.finetune import Teaching, finetune
from hydrafy.runtime.lower import lower_program
from hydrafy.runtime.read import read
from hydrafy.train.data import Stream
from hydrafy.train.keep import Keep
from tests.train.problems import options, problem, static, stream
from tests.train.programs import Sketch, dynamic

Files = Callable[..., Path]


def archive(place: Path, kind: type = np.uint8, labels: np.ndarray | None = None) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 3, 16, 16)).astype(kind)
    np.savez(place / "data.npz", x=pixels, y=np.arange(40) % 10 if labels is None else labels)
    return place / "data.npz"


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_a_plain_file_is_read_and_trained(zoo_file: Files, tmp_path: Path, kind: type) -> None:
    words = {"mean": (0.5,), "std": (0.25,)}
    told: list[str] = []
    found = finetune(
        zoo_file("resnet8"), archive(tmp_path, kind), options(), **words, say=told.append
    )
    assert len(found.history.epochs) == 1
    manifest = found.program.manifest
    assert manifest.stage == "static" and "finetune" in [e.by for e in manifest.journal]
    recorded = manifest.normalisation
    assert (recorded and recorded.mean) == ((0.5,) * 3 if kind is np.uint8 else None)
    assert told[0].startswith("Normalisation" if kind is np.uint8 else "Images of floats")


def test_labels_must_fit_the_file(zoo_file: Files, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="10 classes"):
        finetune(zoo_file("resnet8"), archive(tmp_path, labels=np.arange(40) % 11), options())
    with pytest.raises(DataError, match="of one class"):
        finetune(zoo_file("resnet8"), archive(tmp_path, labels=np.zeros(40, int)), options())


def test_a_share_is_held_out_or_images_are_named(zoo_file: Files, tmp_path: Path) -> None:
    data, file = archive(tmp_path), zoo_file("resnet8")
    shared = finetune(file, data, options(), validation=0.25)
    named = finetune(file, data, options(), validation=data)
    assert shared.validation and shared.validation.images == 10
    assert named.validation and named.validation.images == 40
    with pytest.raises(OptionError, match="between 0 and 1"):
        finetune(file, data, options(), validation=1.5)


def test_a_lowered_file_has_no_training_left(zoo_file: Files, tmp_path: Path) -> None:
    dynamic = convert(zoo_file("resnet8"), "dynk", branches=3, k=1)
    file = lower_program(dynamic)[0].save(tmp_path / "low.onnx")
    with pytest.raises(ModelError, match=r"lowered.*dynamic file"):
        finetune(file, archive(tmp_path), options())


def test_the_teacher_is_the_source(zoo_file: Files, tmp_path: Path) -> None:
    source, data = tmp_path / "net.onnx", archive(tmp_path)
    source.write_bytes(zoo_file("resnet8").read_bytes())
    file = convert(source, "dynk", branches=3, k=1).save(tmp_path / "net.dynk.onnx")
    found = finetune(file, data, options(), teaching=Teaching())
    assert found.history.epochs[0].step.terms["distillation"] > 0


def test_a_teacher_may_answer_several_times(zoo_file: Files, tmp_path: Path) -> None:
    file, data = zoo_file("resnet8"), archive(tmp_path)
    teaching = Teaching(str(zoo_file("msdnet", exits=2, classes=10)))
    found = finetune(file, data, options(), teaching=teaching)
    assert found.history.epochs[0].step.terms["distillation"] > 0


@pytest.mark.parametrize("soft", [True, False])
def test_a_teacher_that_says_probabilities_is_known(tmp_path: Path, soft: bool) -> None:
    """Also where an image is damaged."""
    sketch = Sketch()
    logits = sketch.linear(sketch.op("Flatten", [sketch.x], "flat"), "fc", 6)
    said = sketch.op("Softmax", [logits], "y", axis=-1) if soft else logits
    program = read(sketch.program(said).save(tmp_path / "net.onnx"))
    data = problem(40)

    def some(rows: list[int]):
        for row in rows:
            yield FileError("5.png is torn") if row == 5 else data.images[row]

    torn = Stream("images", 400, lambda rows: some([row % 40 for row in rows]), None, data.labels)
    assert teacher.says_probabilities(program, torn, 6) is soft


def test_images_without_labels_need_a_teacher(zoo_file: Files, tmp_path: Path) -> None:
    file, data = zoo_file("resnet8"), archive(tmp_path)
    more = np.random.default_rng(1).integers(0, 256, (24, 3, 16, 16)).astype(np.uint8)
    with pytest.raises(OptionError, match="use --distill"):
        finetune(file, data, options(), unlabelled=more)
    found = finetune(file, data, options(), unlabelled=more, teaching=Teaching(str(file)))
    (note,) = found.program.manifest.journal[-2].notes
    assert "on 64 images" in note


def test_a_teacher_that_does_not_fit_is_refused(zoo_file: Files, tmp_path: Path) -> None:
    data, file = archive(tmp_path), zoo_file("resnet8")
    larger, fewer = zoo_file("resnet8", size=32), zoo_file("resnet8", classes=7)
    for other, error, sentence in (
        (str(larger), DataError, r"takes images of \[3, 32, 32\]"),
        (str(fewer), ModelError, "7.* 10 scores"),
        (str(tmp_path / "nothing.onnx"), FileError, "no file"),
    ):
        with pytest.raises(error, match=sentence):
            finetune(file, data, options(), teaching=Teaching(other))
    changed = tmp_path / "changed.onnx"
    changed.write_bytes(file.read_bytes())
    made = convert(changed, "dynk", branches=3, k=1).save(tmp_path / "net.dynk.onnx")
    changed.write_bytes(fewer.read_bytes())
    with pytest.raises(FileError, match="not the network any more"):
        finetune(made, data, options(), teaching=Teaching())
    changed.unlink()
    with pytest.raises(FileError, match="not there any more"):
        finetune(made, data, options(), teaching=Teaching())


def test_a_teacher_has_the_same_classes() -> None:
    names = tuple("abcdef")
    program = static()
    program.manifest = dataclasses.replace(program.manifest, classes=names)
    images = dataclasses.replace(stream(problem(20)), classes=names)
    assert teacher.says_probabilities(program, images, 6) is False
    other = dataclasses.replace(images, classes=names[::-1])
    with pytest.raises(DataError, match="another order"):
        teacher.says_probabilities(program, other, 6)


def test_the_prediction_need_not_be_the_first_output(tmp_path: Path) -> None:
    source = static().save(tmp_path / "net.onnx")
    file = dynamic(k=2).save(tmp_path / "net.dynk.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 3, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x=pixels, y=np.arange(40) % 6)
    found = finetune(file, tmp_path / "data.npz", options(), teaching=Teaching(str(source)))
    assert found.history.epochs[0].step.terms["distillation"] > 0


@pytest.mark.parametrize("name", ["weight", "temperature"])
def test_a_teaching_that_makes_no_sense_is_refused_at_once(name: str) -> None:
    with pytest.raises(OptionError, match=f"{name} = 0"):
        Teaching(**{name: 0.0})


def test_a_run_goes_on_with_the_images_that_it_was_begun_with(
    zoo_file: Files, tmp_path: Path
) -> None:
    file, data = zoo_file("resnet8"), archive(tmp_path)
    words = {"mean": (0.5,), "std": (0.5,)}
    again = Keep(tmp_path / "run", "resume")
    finetune(file, data, options(), keep=Keep(tmp_path / "run"), **words)
    assert finetune(file, data, options(), keep=again, **words).history.epochs
    with pytest.raises(OptionError, match="begun with normalisation of the training images"):
        finetune(file, data, options(), keep=again, **{**words, "mean": (0.1,)})
    held = dict(np.load(data))
    np.savez(data, x=255 - held["x"], y=held["y"])
    with pytest.raises(OptionError, match="begun with content of the training images"):
        finetune(file, data, options(), keep=again, **words)


def test_loading_does_not_change_the_program(zoo_file: Files, tmp_path: Path) -> None:
    file = zoo_file("resnet8")
    before = file.read_bytes()
    finetune(file, archive(tmp_path), options())
    assert file.read_bytes() == before and Program.load(file).stage == "source"
