import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from hydrafy.errors import DataError, ModelError, OptionError
from hydrafy.ir.manifest import LossTerm, Normalisation
from hydrafy.ir.program import Program
from hydrafy.train.data import Data
from hydrafy.train.finetune import finetune
from hydrafy.train.fit import Options, accuracy, fit
from hydrafy.train.history import Step
from hydrafy.train.importer import to_torch
from hydrafy.train.losses import Losses
from tests.train.programs import Sketch, agree, dynamic


def problem(count: int = 97, seed: int = 0) -> Data:
    """Six classes: each brightens one of six areas."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 6, count)
    images = rng.standard_normal((count, 3, 8, 8)).astype(np.float32)
    for row, label in enumerate(labels):
        images[row, label % 3, 4 * (label // 3) : 4 * (label // 3) + 4] += 2
    return Data(images, labels.astype(np.int64), Normalisation((0.5,) * 3, (0.5,) * 3))


def static() -> Program:
    s = Sketch()
    hidden = s.op("Relu", [s.batchnorm(s.conv(s.x, "conv", 8, 3), "bn")], "relu")
    return s.program(s.linear(s.op("Flatten", [hidden], "flat"), "fc", 6))


@pytest.mark.parametrize("program", [dynamic(k=2), static()], ids=["dynamic", "static"])
def test_it_learns_a_small_problem(program: Program) -> None:
    steps: list[Step] = []
    tuned, history = finetune(
        program, problem(), epochs=6, batch_size=16, learning_rate=0.02, progress=steps.append
    )
    first, last = history.epochs[0], history.epochs[-1]
    assert len(history.epochs) == 6 and not history.interrupted
    assert last.loss < 0.6 * first.loss and last.accuracy > 0.6 > 2 * accuracy(
        to_torch(program), problem().images, problem().labels
    )
    assert len(steps) == 6 * 6 and steps[5] == first  # 97 images: the 7th batch has only one
    assert set(last.terms) == {t.name for t in Losses.of(program).terms}
    assert [(s.batch, s.batches) for s in steps[:6]] == [(b, 6) for b in range(1, 7)]
    agree(tuned, sizes=(0, 1, 9))
    assert tuned.manifest.journal[-1].by == "finetune"
    assert tuned.manifest.normalisation == problem().normalisation
    test = problem(seed=1)
    assert accuracy(to_torch(tuned), test.images, test.labels) > 0.5


def test_a_seed_fixes_the_weights_and_leaves_torchs_generator_alone() -> None:
    def weights(seed: int) -> bytes:
        tuned, _ = finetune(
            dynamic(), problem(), epochs=2, seed=seed, augment=("crop", "flip"), batch_size=32
        )
        return tuned.to_onnx().graph.SerializeToString(deterministic=True)

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
    tuned, _ = finetune(program, problem(), epochs=1, learning_rate=1e-9)
    scale = tuned.weight("combiner.bn.weight")
    assert np.allclose(scale, 1) == (neutral is None)


def test_the_program_that_went_in_is_unchanged() -> None:
    program = dynamic()
    before = program.to_onnx().SerializeToString(deterministic=True)
    finetune(program, problem(), epochs=1)
    assert program.to_onnx().SerializeToString(deterministic=True) == before


def test_on_ctrl_c_it_returns_what_the_last_finished_epoch_had() -> None:
    def stop(step: Step) -> None:
        if step.epoch == 2 and step.batch == 2:
            raise KeyboardInterrupt

    program, data, losses = static(), problem(), Losses.of(static())
    options = Options(epochs=3, batch_size=32)
    module, states = to_torch(program), {}

    def watch(step: Step) -> None:
        if step.batch == step.batches:
            states[step.epoch] = {n: t.clone() for n, t in module.state_dict().items()}
        stop(step)

    history = fit(module, losses, data.images, data.labels, options, watch)
    assert history.interrupted and [s.epoch for s in history.epochs] == [1]
    assert all(torch.equal(t, states[1][n]) for n, t in module.state_dict().items())
    assert not module.training
    tuned, history = finetune(program, data, epochs=3, batch_size=32, progress=stop)
    assert history.interrupted and "1 epoch on" in tuned.manifest.journal[-1].notes[0]


def test_a_plain_torch_module_that_returns_a_tensor_can_be_fitted() -> None:
    data = problem()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(nn.Flatten(), nn.Linear(192, 6))
    losses = Losses((LossTerm("final", "logits", 1.0),))
    history = fit(module, losses, data.images, data.labels, Options(epochs=15, learning_rate=0.01))
    assert history.epochs[-1].accuracy > 0.9
    assert accuracy(module, data.images, data.labels) > 0.9


def test_a_loss_that_is_no_number_stops_the_training() -> None:
    data = problem()
    data.images[3] = np.nan
    with pytest.raises(OptionError, match=r"'final' became nan in epoch 1, batch 1:"):
        finetune(dynamic(), data, epochs=1, batch_size=100)


def test_what_cannot_be_trained_is_refused() -> None:
    program = dynamic()
    program.manifest = dataclasses.replace(program.manifest, losses=())
    with pytest.raises(ModelError, match="no loss terms"):
        finetune(program, problem(), epochs=1)
    program.manifest = dataclasses.replace(program.manifest, stage="lowered")
    with pytest.raises(ModelError, match=r"lowered.*dynamic file"):
        finetune(program, problem(), epochs=1)


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
        finetune(dynamic(), data, epochs=1)


def test_batches_of_one_image_train_no_batchnorm() -> None:
    with pytest.raises(OptionError, match=r"batch_size = 1 .* 2 or more"):
        finetune(dynamic(), problem(), epochs=1, batch_size=1)
    with pytest.raises(DataError, match="single image"):
        finetune(dynamic(), problem(1), epochs=1)
    s = Sketch()
    plain = s.program(s.linear(s.op("Flatten", [s.x], "flat"), "fc", 6))
    assert len(finetune(plain, problem(3), epochs=1, batch_size=1)[1].epochs) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": float("nan")},
        {"weight_decay": -1},
        {"seed": -1},
        {"seed": 2**63},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict) -> None:
    (name,) = options
    with pytest.raises(OptionError, match=name):
        Options(**{"epochs": 1, **options})
