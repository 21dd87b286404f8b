"""A run that is stopped at any moment goes on as if it never had been."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hydrafy.errors import DataError, FileError, OptionError
from hydrafy.ir.manifest import LossTerm
from hydrafy.train import checkpoint
from hydrafy.train.fit import fit
from hydrafy.train.history import Epoch, History, Step
from hydrafy.train.importer import to_torch
from hydrafy.train.keep import Keep, Start
from hydrafy.train.loader import Examples
from hydrafy.train.losses import Losses
from hydrafy.train.options import Options
from hydrafy.train.schedule import Phase, Schedule
from hydrafy.train.trainer import Watch, silent
from tests.train.problems import examples, options, problem, static, stream
from tests.train.programs import Sketch, dynamic

PROGRAM = dynamic(k=2)
TWO_PHASES = Schedule(
    "two",
    "the tests",
    (
        Phase(2, 32, "sgd", 0.05, momentum=0.9, decay="steps", milestones=((1, 0.1),)),
        Phase(2, 16, "adamw", 0.01, trained=("head", "branches.*.fc")),
    ),
)
HOW = Options(
    TWO_PHASES, augment=("crop", "flip"), mixup=0.4, every=0.0
)  # a checkpoint after each batch


class Killed(BaseException):
    """Ends a run as a kill would: nothing of ours catches it."""


def train(folder: Path | None = None, *, resume: bool = False, watch=None) -> tuple:
    module = to_torch(PROGRAM)
    steps: list[Step | Epoch] = []

    def both(event: Step | Epoch) -> None:
        steps.append(event)
        if watch is not None:
            watch(event)

    history = fit(
        module,
        Losses.of(PROGRAM),
        examples(),
        HOW,
        validation=examples(50, 1),
        decisions=["picked"],
        keep=folder and Keep(folder, "resume" if resume else "anew"),
        watch=both,
    )
    return history, steps, {n: t.clone() for n, t in module.state_dict().items()}


def figures(history: History) -> list[tuple]:
    """All but the seconds."""
    return [(e.step, e.phase, e.learning_rate, e.validation) for e in history.epochs]


@pytest.fixture(scope="module")
def whole() -> tuple:
    return train()


def same(one: tuple, other: tuple) -> None:
    assert figures(one[0]) == figures(other[0]) and one[0].best == other[0].best
    assert one[2].keys() == other[2].keys()
    assert all(torch.equal(tensor, other[2][name]) for name, tensor in one[2].items())


def test_where_a_run_is_kept_changes_nothing(whole: tuple, tmp_path: Path) -> None:
    same(train(tmp_path / "run"), whole)
    written = json.loads((tmp_path / "run/history.json").read_text())
    assert [epoch["step"]["epoch"] for epoch in written] == [1, 2, 3, 4]
    assert any((tmp_path / "run/tensorboard").iterdir())


def test_frozen_parts_keep_weights_and_statistics_in_their_phase(whole: tuple) -> None:
    after: dict[str, torch.Tensor] = {}
    module = to_torch(PROGRAM)

    def watch(event: Step | Epoch) -> None:
        if isinstance(event, Epoch) and event.step.epoch == 2:
            after.update({n: t.clone() for n, t in module.state_dict().items()})

    fit(module, Losses.of(PROGRAM), examples(), HOW, watch=watch)
    moved = {n for n, t in module.state_dict().items() if not torch.equal(t, after[n])}
    fcs = {f"branches.{b}.fc" for b in range(3)}
    assert moved == {f"{p}.{s}" for p in ("head.fc", *fcs) for s in ("weight", "bias")}


@pytest.mark.parametrize("event", [1, 2, 4, 9, 14, 21])
def test_after_a_kill_it_goes_on_with_the_same_losses(
    event: int, whole: tuple, tmp_path: Path
) -> None:
    seen = 0

    def watch(_: Step | Epoch) -> None:
        nonlocal seen
        seen += 1
        if seen == event:
            raise Killed

    with pytest.raises(Killed):
        train(tmp_path, watch=watch)
    found = train(tmp_path, resume=True)
    same(found, whole)
    again, all_steps = (
        [event for event in run[1] if isinstance(event, Step)] for run in (found, whole)
    )
    assert again == all_steps[-len(again) :]  # of which the one at hand, at most, is done twice
    assert len(again) >= len([e for e in whole[1][event - 1 :] if isinstance(e, Step)])


SCRIPT = """
import sys
from pathlib import Path
from tests.train.test_fit import train
train(Path(sys.argv[1]))
"""


def test_a_killed_process_has_left_a_run_that_goes_on(whole: tuple, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as process:
        while not (tmp_path / checkpoint.LAST).exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    same(train(tmp_path, resume=True), whole)


def test_ctrl_c_finishes_the_step_and_says_so(whole: tuple, tmp_path: Path) -> None:
    def watch(event: Step | Epoch) -> None:
        if isinstance(event, Step) and (event.epoch, event.batch) == (2, 2):
            os.kill(os.getpid(), signal.SIGINT)

    stopped, steps, _ = train(tmp_path, watch=watch)
    assert stopped.interrupted and len(stopped.epochs) == 1
    assert isinstance(steps[-1], Step) and (steps[-1].epoch, steps[-1].batch) == (2, 2)
    same(train(tmp_path, resume=True), whole)


def test_what_a_stopped_run_has_reached_can_be_taken(tmp_path: Path) -> None:
    def watch(event: Step | Epoch) -> None:
        if isinstance(event, Step) and event.epoch == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    train(tmp_path, watch=watch)
    module = to_torch(PROGRAM)
    history = fit(module, Losses.of(PROGRAM), examples(), HOW, keep=Keep(tmp_path, "finish"))
    assert not history.interrupted and (len(history.epochs), history.best) == (1, 1)
    best = torch.load(tmp_path / checkpoint.BEST)
    assert all(torch.equal(tensor, best[name]) for name, tensor in module.state_dict().items())


def test_in_another_thread_it_trains_as_well(whole: tuple) -> None:
    found: list[tuple] = []
    thread = threading.Thread(target=lambda: found.append(train()))
    thread.start()
    thread.join()
    same(found[0], whole)


def test_a_full_disk_leaves_the_checkpoint_before(
    whole: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, count = torch.save, 0

    def save(state: object, file: Path) -> None:
        nonlocal count
        count += 1
        if count > 4:
            Path(file).write_bytes(b"half a checkpoint")
            raise OSError(28, "No space left on device", str(file))
        really(state, file)

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(FileError, match=r"No space left on device.*--resume"):
        train(tmp_path)
    assert not list(tmp_path.glob("*.part"))
    monkeypatch.undo()
    same(train(tmp_path, resume=True), whole)


def test_a_loss_that_is_no_number_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    module = to_torch(static())
    good: dict[str, torch.Tensor] = {}

    def watch(event: Step | Epoch) -> None:
        if event_is(event, 2, 1):
            good.update(torch.load(tmp_path / checkpoint.LAST)["module"])
            with torch.no_grad():
                module.get_parameter("fc.bias").fill_(torch.inf)

    how = options(3, 32, every=0.0)
    with pytest.raises(OptionError, match=r"weights became NaN .* step 4"):
        fit(module, Losses.of(static()), examples(), how, keep=Keep(tmp_path), watch=watch)
    kept = torch.load(tmp_path / checkpoint.LAST)["module"]
    assert good and all(torch.equal(tensor, kept[name]) for name, tensor in good.items())
    assert all(tensor.isfinite().all() for tensor in kept.values())


def event_is(event: Step | Epoch, epoch: int, batch: int) -> bool:
    return isinstance(event, Step) and (event.epoch, event.batch) == (epoch, batch)


def test_weights_that_are_no_numbers_are_never_kept(tmp_path: Path) -> None:
    data = problem()
    data.images[:] *= 1e30  # the loss is finite, the variances are not
    how = options(1, 97)
    with pytest.raises(OptionError, match=r"weights became NaN or infinite by step 1 "):
        fit(
            to_torch(static()),
            Losses.of(static()),
            Examples(stream(data)),
            how,
            keep=Keep(tmp_path),
        )
    assert not (tmp_path / checkpoint.LAST).exists()


def test_a_phase_that_has_finished_no_epoch_keeps_what_it_reached(tmp_path: Path) -> None:
    def watch(event: Step | Epoch) -> None:
        if event_is(event, 3, 2):
            os.kill(os.getpid(), signal.SIGINT)

    _, _, reached = train(tmp_path, watch=watch)
    module = to_torch(PROGRAM)
    history = fit(module, Losses.of(PROGRAM), examples(), HOW, keep=Keep(tmp_path, "finish"))
    assert (len(history.epochs), history.best) == (2, 0)
    assert all(torch.equal(tensor, reached[name]) for name, tensor in module.state_dict().items())
    assert not module.get_parameter("stem.conv.weight").requires_grad  # frozen in that phase


def test_a_pattern_that_matches_nothing_is_refused_before_the_first_phase() -> None:
    phases = Phase(1, 32, "sgd", 0.1), Phase(1, 32, "sgd", 0.1, frozen=("steam",))
    how, seen = Options(Schedule("two", "the tests", phases)), []
    with pytest.raises(OptionError, match=r"'steam'.*'stem'"):
        fit(to_torch(PROGRAM), Losses.of(PROGRAM), examples(), how, watch=seen.append)
    assert not seen


def test_patience_needs_images_to_judge_by() -> None:
    with pytest.raises(OptionError, match="patience"):
        fit(to_torch(static()), Losses.of(static()), examples(), options(1, patience=2))


def test_a_run_goes_on_with_its_own_settings_only(tmp_path: Path) -> None:
    def run(start: Start, seed: int) -> None:
        keep = Keep(tmp_path, start, {"seed": seed})
        fit(to_torch(PROGRAM), Losses.of(PROGRAM), examples(), options(), keep=keep)

    with pytest.raises(FileError, match=r"no run whose weights"):
        run("finish", 1)
    run("resume", 1)  # there is none, so it begins
    with pytest.raises(OptionError, match=r"seed = 1, not 2.*--force"):
        run("resume", 2)
    (tmp_path / checkpoint.LAST).write_bytes(b"nothing")
    with pytest.raises(FileError, match=r"last.ckpt is damaged"):
        run("resume", 1)
    (tmp_path / checkpoint.SETTINGS).write_text("{")
    with pytest.raises(FileError, match=r"settings.json cannot be read"):
        run("resume", 1)


def test_a_run_that_is_under_way_is_left_alone(tmp_path: Path) -> None:
    def again(event: Step | Epoch) -> None:
        for start in ("anew", "resume"):
            with pytest.raises(FileError, match=r"another process is at work on the run in .*wait"):
                run(start)
        seen.append(event)

    def run(start: Start, watch: Watch = silent) -> History:
        keep = Keep(tmp_path, start)
        return fit(
            to_torch(PROGRAM), Losses.of(PROGRAM), examples(), options(2), keep=keep, watch=watch
        )

    seen: list[Step | Epoch] = []
    history = run("anew", again)
    assert seen and len(history.epochs) == 2
    assert run("resume").epochs == history.epochs  # finished, and nobody holds it any more


def test_a_plain_torch_module_that_returns_a_tensor_can_be_fitted() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(nn.Flatten(), nn.Linear(192, 6))
    losses = Losses((LossTerm("final", "logits", 1.0),))
    how = options(15, learning_rate=0.01)
    history = fit(module, losses, examples(), how, validation=examples())
    last = history.epochs[-1]
    assert last.step.accuracy > 0.9 and last.validation and last.validation.top1 > 0.9
    assert not module.training


def test_batches_of_one_image_train_no_batchnorm() -> None:
    def run(program: Callable[[], nn.Module], count: int, size: int) -> History:
        losses = Losses((LossTerm("final", "fc", 1.0),))
        return fit(program(), losses, examples(count), options(1, size))

    with pytest.raises(OptionError, match=r"batch_size = 1 .* 2 or more"):
        run(lambda: to_torch(static()), 97, 1)
    with pytest.raises(DataError, match="single image"):
        run(lambda: to_torch(static()), 1, 64)
    s = Sketch()
    plain = s.program(s.linear(s.op("Flatten", [s.x], "flat"), "fc", 6))
    assert len(run(lambda: to_torch(plain), 3, 1).epochs) == 1


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"patience": -1}, "patience"),
        ({"devices": 0}, "devices"),
        ({"nodes": 0}, "nodes"),
        ({"workers": -1}, "workers"),
        ({"precision": "bf16"}, "bf16-mixed"),
        ({"accelerator": "gpu"}, "accelerator"),
    ],
)
def test_options_that_make_no_sense_are_refused(values: dict, word: str) -> None:
    with pytest.raises(OptionError, match=word):
        options(1, **values)


def test_gradients_are_clipped() -> None:
    def moved(clip: float | None) -> float:
        module = to_torch(static())
        before = np.concatenate([p.detach().numpy().ravel() for p in module.parameters()])
        schedule = Schedule("one", "the tests", (Phase(1, 97, "sgd", 1.0, clip=clip),))
        fit(module, Losses.of(static()), examples(), Options(schedule))
        after = np.concatenate([p.detach().numpy().ravel() for p in module.parameters()])
        return float(np.linalg.norm(after - before))

    assert moved(0.01) == pytest.approx(0.01, rel=1e-3)  # a single step at a learning rate of 1
    assert moved(None) > 0.1


def test_bfloat16_trains_too() -> None:
    how = options(2, learning_rate=0.02, precision="bf16-mixed")
    history = fit(to_torch(PROGRAM), Losses.of(PROGRAM), examples(), how)
    exact = fit(to_torch(PROGRAM), Losses.of(PROGRAM), examples(), options(2, learning_rate=0.02))
    a, b = history.epochs[-1].step.loss, exact.epochs[-1].step.loss
    assert a != b and a == pytest.approx(b, rel=0.05)
