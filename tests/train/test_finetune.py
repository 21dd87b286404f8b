import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from hydrafy.errors import DataError, FileError, ModelError, OptionError
from hydrafy.ir.program import Program
from hydrafy.train.data import UNKNOWN, Damaged, Data, Stream
from hydrafy.train.finetune import finetune
from hydrafy.train.history import Epoch, Step
from hydrafy.train.importer import to_torch
from hydrafy.train.keep import Keep
from hydrafy.train.loader import Examples
from hydrafy.train.losses import Losses
from hydrafy.train.teacher import Distillation
from hydrafy.train.validate import validate
from tests.train.problems import HALVES, options, problem, static, stream
from tests.train.programs import Sketch, agree, dynamic


def top1(program: Program, data: Data) -> float:
    output = Losses.of(program).terms[0].output
    examples, cpu = Examples(stream(data)), torch.device("cpu")
    return validate(to_torch(program), examples, output, cpu, Damaged(examples.stream)).top1


@pytest.mark.parametrize("program", [dynamic(k=2), static()], ids=["dynamic", "static"])
def test_it_learns_a_small_problem(program: Program) -> None:
    events: list[Step | Epoch] = []
    how = options(6, 16, learning_rate=0.02)
    tuned = finetune(program, stream(problem()), how, watch=events.append)
    epochs = tuned.history.epochs
    assert len(epochs) == 6 == tuned.history.best and not tuned.history.interrupted
    first, last = epochs[0].step, epochs[-1].step
    assert last.loss < 0.6 * first.loss
    assert last.accuracy > 0.6 > 2 * top1(program, problem())
    steps = [event for event in events if isinstance(event, Step)]
    assert len(steps) == 6 * 6 and steps[5] == first  # 97 images: the 7th batch has only one
    assert [event for event in events if isinstance(event, Epoch)] == [*epochs]
    assert set(last.terms) == {t.name for t in Losses.of(program).terms}
    assert [(s.batch, s.batches) for s in steps[:6]] == [(b, 6) for b in range(1, 7)]
    agree(tuned.program, sizes=(0, 1, 9))
    assert "finetune" in [entry.by for entry in tuned.program.manifest.journal]
    assert top1(tuned.program, problem(seed=1)) > 0.5


def test_rates_tell_how_often_each_branch_was_picked() -> None:
    tuned = finetune(dynamic(k=2), stream(problem()), options(1), validation=stream(problem(40, 1)))
    (epoch,) = tuned.history.epochs
    assert len(epoch.step.rates["picked"]) == 3
    assert sum(epoch.step.rates["picked"]) == pytest.approx(2)  # training picks k, whatever tau
    assert epoch.validation and 1 <= sum(epoch.validation.rates["picked"]) <= 2


def test_the_rates_of_all_epochs_travel_in_the_file(tmp_path: Path) -> None:
    first = finetune(dynamic(k=2), stream(problem()), options(2))
    tuned = finetune(
        Program.load(first.program.save(tmp_path / "a.onnx")), stream(problem()), options(1)
    )
    kept = Program.load(tuned.program.save(tmp_path / "b.onnx")).manifest.trained
    assert [epoch.number for epoch in kept] == [1, 2, 1]
    seen = [epoch.step.rates for one in (first, tuned) for epoch in one.history.epochs]
    for epoch, rates in zip(kept, seen, strict=True):
        assert epoch.rates["picked"] == pytest.approx(rates["picked"], abs=5e-5)
        assert all(share == round(share, 4) for share in epoch.rates["picked"])
    assert finetune(static(), stream(problem()), options(1)).program.manifest.trained == ()


def test_a_seed_fixes_the_weights_and_leaves_torchs_generator_alone() -> None:
    def weights(seed: int) -> bytes:
        how = options(2, seed=seed, augment=("crop", "flip"))
        tuned = finetune(dynamic(), stream(problem()), how)
        return tuned.program.to_onnx().graph.SerializeToString(deterministic=True)

    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = weights(0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert weights(0) == first
    assert weights(1) != first


@pytest.mark.parametrize("neutral", [0.0, None])
def test_fresh_batchnorms_are_settled_where_there_is_a_function_to_keep(
    neutral: float | None,
) -> None:
    program = dynamic(neutral=neutral)
    how = options(1, learning_rate=1e-9)
    tuned = finetune(program, stream(problem()), how, recalibrate=False)
    scale = tuned.program.weight("combiner.bn.weight")
    assert np.allclose(scale, 1) == (neutral is None)


def test_the_program_that_went_in_is_unchanged() -> None:
    program = dynamic()
    before = program.to_onnx().SerializeToString(deterministic=True)
    finetune(program, stream(problem()), options(1))
    assert program.to_onnx().SerializeToString(deterministic=True) == before


def test_the_file_remembers_the_normalisation_and_the_classes() -> None:
    names = ("ant", "bee", "cat", "dog", "emu", "fox")
    images = dataclasses.replace(stream(problem(), HALVES), classes=names)
    manifest = finetune(static(), images, options(1)).program.manifest
    assert (manifest.normalisation, manifest.classes) == (HALVES, names)


def test_statistics_are_taken_again_at_the_end_on_images_as_they_are() -> None:
    images = stream(problem())
    as_trained = finetune(static(), images, options(2), recalibrate=False).program
    tuned = finetune(static(), images, options(2))
    assert [entry.by for entry in tuned.program.manifest.journal] == ["finetune", "recalibrate"]
    assert [drift.layer for drift in tuned.drifts] == ["bn"]
    np.testing.assert_array_equal(
        tuned.program.weight("conv.weight"), as_trained.weight("conv.weight")
    )
    module = to_torch(as_trained)
    with torch.no_grad():
        seen = module.get_submodule("conv")(torch.from_numpy(problem().images))
    mean = seen.double().mean((0, 2, 3)).numpy()
    np.testing.assert_allclose(tuned.program.weight("bn.running_mean"), mean, atol=1e-5)
    assert not np.allclose(as_trained.weight("bn.running_mean"), mean, atol=1e-3)


def test_the_best_epoch_is_kept_not_the_last() -> None:
    wrong = problem()
    wrong.labels[:] = (wrong.labels + 1) % 6  # what is learnt is wrong: validation only worsens
    start = finetune(static(), stream(problem()), options(4, learning_rate=0.02)).program
    tuned = finetune(
        start,
        stream(wrong),
        options(4, learning_rate=0.02),
        validation=stream(problem(60, 1)),
        recalibrate=False,
    )
    scores = [epoch.validation.top1 for epoch in tuned.history.epochs if epoch.validation]
    assert scores[0] == max(scores) > scores[-1] and tuned.history.best == 1
    assert top1(tuned.program, problem(60, 1)) == pytest.approx(scores[0])
    assert tuned.validation and tuned.validation.top1 == pytest.approx(scores[0])
    patient = finetune(
        start,
        stream(wrong),
        options(4, learning_rate=0.02, patience=1),
        validation=stream(problem(60, 1)),
    )
    assert len(patient.history.epochs) == 2


def test_a_teacher_is_learnt_from() -> None:
    """Labels are noise, so that what is learnt of the problem comes from the teacher alone."""
    data, rng = problem(200), np.random.default_rng(7)
    noise = Data(data.images, rng.integers(0, 6, 200))
    how = options(8, learning_rate=0.02)
    teacher = finetune(static(), stream(data), how).program
    alone = finetune(static(), stream(noise), how).program
    taught = finetune(static(), stream(noise), how, distillation=Distillation(teacher, weight=5.0))
    assert "distillation" in taught.history.epochs[0].step.terms
    assert top1(taught.program, problem(60, 1)) > 0.6 > 2 * top1(alone, problem(60, 1))


@pytest.mark.parametrize("mixup", [0.0, 1.0])
def test_a_teacher_sees_what_the_student_sees(mixup: float) -> None:
    """It agrees with itself about each image, however that was changed."""
    s = Sketch()
    hidden = s.op("Relu", [s.conv(s.x, "conv", 8, 3)], "relu")
    program = s.program(s.linear(s.op("Flatten", [hidden], "flat"), "fc", 6))
    how = options(1, learning_rate=1e-12, augment=("crop", "flip", "erase"), mixup=mixup)
    images = stream(problem(64), HALVES)
    found = finetune(program, images, how, distillation=Distillation(program))
    assert found.history.epochs[0].step.terms["distillation"] < 1e-9


def test_a_teacher_tells_of_images_without_labels() -> None:
    """Those alone teach: the few with labels are of one class."""
    how, data = options(8, learning_rate=0.02), problem(200)
    teacher = Distillation(finetune(static(), stream(data), how).program, weight=5.0)
    labels = np.where(np.arange(200) < 8, 0, UNKNOWN)
    taught = finetune(static(), stream(Data(data.images, labels)), how, distillation=teacher)
    assert top1(taught.program, problem(60, 1)) > 0.6
    for epoch in taught.history.epochs:
        assert epoch.step.accuracy * 8 == pytest.approx(round(epoch.step.accuracy * 8))  # of eight


@pytest.mark.parametrize(("known", "why"), [(8, "no teacher to tell"), (0, "have no labels")])
def test_images_without_labels_need_a_teacher_and_others(known: int, why: str) -> None:
    labels = np.where(np.arange(40) < known, 0, UNKNOWN)
    with pytest.raises(DataError, match=why):
        finetune(static(), stream(Data(problem(40).images, labels)), options(1))


class Torn:
    """Reads images from memory, of which some are damaged."""

    def __init__(self, data: Data, rows: set[int]) -> None:
        self.data, self.rows = data, rows

    def __call__(self, rows: list[int]):
        for row in rows:
            yield FileError(f"{row}.png is torn") if row in self.rows else self.data.images[row]


def torn(count: int, rows: set[int]) -> Stream:
    data = problem(count)
    return Stream("images", count, Torn(data, rows), None, data.labels)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_image_is_named_and_skipped(workers: int) -> None:
    tuned = finetune(static(), torn(200, {3, 77}), options(2, workers=workers))
    assert sorted(tuned.history.damaged) == ["3.png is torn", "77.png is torn"]
    assert len(tuned.history.epochs) == 2


def test_the_first_image_may_be_the_damaged_one() -> None:
    tuned = finetune(static(), torn(200, {0}), options(1), validation=torn(150, {0}))
    assert tuned.history.damaged == ("0.png is torn",)
    assert tuned.validation and tuned.validation.images == 149


def test_damaged_images_are_remembered_where_a_run_goes_on(tmp_path: Path) -> None:
    images, how = torn(200, {3}), options(1, every=0.0)

    def watch(event: Step | Epoch) -> None:
        if isinstance(event, Step) and event.batch == event.batches:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(static(), images, how, watch=watch, keep=Keep(tmp_path))
    found = finetune(static(), images, how, keep=Keep(tmp_path, "resume"))
    assert found.history.damaged == ("3.png is torn",)


class Late(Torn):
    """Finds out while it reads that the images do not fit."""

    def __call__(self, rows: list[int]):
        if 3 in rows:
            raise DataError("the images hold NaN: clean them")
        return super().__call__(rows)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_a_reader_is_the_same_sentence_in_another_process(workers: int) -> None:
    data = problem()
    images = Stream("images", len(data), Late(data, set()), None, data.labels)
    with pytest.raises(DataError) as caught:
        finetune(static(), images, options(1, workers=workers))
    assert str(caught.value) == "the images hold NaN: clean them"


def test_more_than_one_in_a_hundred_damaged_images_end_the_training() -> None:
    with pytest.raises(DataError, match=r"3 of the 200 images .* more than 1%.*is torn"):
        finetune(static(), torn(200, {3, 77, 78}), options(1))


def test_a_loss_that_is_no_number_stops_the_training() -> None:
    data = problem()
    data.images[3] = np.nan
    with pytest.raises(OptionError, match=r"'final' became nan in epoch 1, batch 1:"):
        finetune(dynamic(neutral=None), stream(data), options(1, 100))


def test_what_cannot_be_trained_is_refused() -> None:
    program = dynamic()
    program.manifest = dataclasses.replace(program.manifest, losses=())
    with pytest.raises(ModelError, match="no loss terms"):
        finetune(program, stream(problem()), options(1))
    program.manifest = dataclasses.replace(program.manifest, stage="lowered")
    with pytest.raises(ModelError, match=r"lowered.*dynamic file"):
        finetune(program, stream(problem()), options(1))


def blank(count: int, height: int, labels: list[int]) -> Data:
    return Data(np.zeros((count, 3, height, 8), np.float32), np.array(labels, np.int64))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (blank(2, 9, labels=[0, 0]), r"\[3, 9, 8\].*\[3, 8, 8\]"),
        (blank(2, 8, labels=[0, 6]), "from 0 to 6.* 6 classes"),
        (blank(0, 8, labels=[]), "no images"),
    ],
)
def test_data_that_does_not_fit_is_refused(data: Data, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        finetune(dynamic(), stream(data), options(1))
