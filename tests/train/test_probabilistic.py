"""Training with gates that are open by chance: they come to their target, and nothing is lost."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hydrafy.errors import OptionError
from hydrafy.ir.program import Program
from hydrafy.runtime.convert import convert
from hydrafy.train.finetune import Tuned, finetune
from hydrafy.train.fit import fit
from hydrafy.train.gates.gumbel import GumbelGate
from hydrafy.train.history import Epoch, Step
from hydrafy.train.importer import to_torch
from hydrafy.train.keep import Keep
from hydrafy.train.losses import Losses
from hydrafy.train.options import Options
from hydrafy.train.schedule import Phase, Schedule
from tests.train.problems import examples, problem, stream

Source = Callable[..., Program]


def gated(source: Source, **options: object) -> Program:
    return convert(source("resnet8", size=8, width=8, classes=6), "bypass", **options)


def how(epochs: int, **values: object) -> Options:
    phase = Phase(epochs, 32, "sgd", 0.05, momentum=0.9, decay="cosine")
    return Options(Schedule("short", "the tests", (phase,)), every=0.0, **values)


def train(program: Program, options: Options, count: int = 97, **more: object) -> Tuned:
    return finetune(program, stream(problem(count)), options, **more)


def rate(tuned: Tuned, epoch: int) -> float:
    rates = [r for one in tuned.history.epochs[epoch].step.rates.values() for r in one]
    return sum(rates) / len(rates)


@pytest.mark.parametrize("gates", ["dependent", "independent"])
def test_gates_come_to_their_target_while_the_network_learns(source: Source, gates: str) -> None:
    program = gated(source, gates=gates, target=0.4, times="gates", weight=20)
    tuned = train(program, how(6), 600)
    first, last = (tuned.history.epochs[number].step for number in (0, -1))
    assert abs(rate(tuned, -1) - 0.4) < 0.05
    assert last.accuracy > 0.9 and last.terms["rate"] < 0.1 * first.terms["rate"]
    assert tuned.program.manifest.losses == program.manifest.losses


def test_stochastic_depth_trains_no_gate(source: Source) -> None:
    program = gated(source, gates="depth", p_last=0.5)
    tuned = train(program, how(2))
    names = [name for name in program.graph.initializers if name.endswith("odds.weight")]
    assert len(names) == 3
    for name in names:
        assert (tuned.program.weight(name) == program.weight(name)).all()
    assert 0.5 < rate(tuned, -1) < 0.85  # the mean of 5/6, 4/6 and 3/6 is 0.67


@pytest.mark.parametrize("event", [2, 6, 9])
def test_after_a_kill_it_goes_on_with_the_same_gates(
    source: Source, event: int, tmp_path: Path
) -> None:
    """Target and temperature depend on where the training stands, in the middle of an epoch too."""
    program = gated(source, course="variable", cooled=0.25)
    whole = train(program, how(3))
    seen = 0

    class Killed(BaseException):
        """Ends a run as a kill would."""

    def watch(_: Step | Epoch) -> None:
        nonlocal seen
        seen += 1
        if seen == event:
            raise Killed

    with pytest.raises(Killed):
        train(program, how(3), keep=Keep(tmp_path, "anew"), watch=watch)
    again = train(program, how(3), keep=Keep(tmp_path, "resume"))
    for name in whole.program.graph.initializers:
        mine, theirs = (torch.from_numpy(t.program.weight(name)) for t in (again, whole))
        assert torch.equal(mine, theirs), name


def test_targets_and_temperatures_follow_the_training(source: Source) -> None:
    """The rate's loss is what its target of the epoch makes it; modules cool epoch by epoch."""
    heats: list[float] = []
    told: dict[int, list[float]] = {}
    course = {"course": "anneal", "anneal_step": 0.5, "anneal_every": 1, "target": 0.0}
    program = gated(source, **course, temperature=4, cooled=1)
    module, losses = to_torch(program), Losses.of(program)
    (first, *_) = (m for m in module.modules() if isinstance(m, GumbelGate))

    def watch(event: Step | Epoch) -> None:
        if isinstance(event, Step):
            heats.append(float(first.heat))
            told.setdefault(event.epoch, []).append(event.terms["rate"])

    decisions = [o.name for o in program.manifest.outputs if o.role == "decision"]
    one = Options(
        Schedule(
            "one", "the tests", (Phase(3, 97, "sgd", 1e-6),)
        ),  # a step an epoch, nothing moves
    )
    history = fit(module, losses, examples(), one, decisions=decisions, watch=watch)
    assert heats == pytest.approx([4.0, 2.0, 1.0])
    for epoch, target in zip(history.epochs, (1.0, 0.5, 0.0), strict=True):
        rates = [r for one in epoch.step.rates.values() for r in one]
        wanted = (sum(rates) / len(rates) - target) ** 2
        assert told[epoch.step.epoch] == pytest.approx([wanted], abs=1e-5)


def test_a_variable_target_follows_the_batches_before(source: Source) -> None:
    program = gated(source, course="variable", target=0.0)
    two = Options(Schedule("two", "the tests", (Phase(1, 49, "sgd", 1e-6),)))
    terms, means = [], []

    def watch(event: Step | Epoch) -> None:
        if isinstance(event, Step):
            terms.append(event.terms["rate"])
            rates = [r for one in event.rates.values() for r in one]
            means.append(sum(rates) / len(rates))

    decisions = [o.name for o in program.manifest.outputs if o.role == "decision"]
    fit(to_torch(program), Losses.of(program), examples(98), two, decisions=decisions, watch=watch)
    first, second = means[0], 2 * means[1] - means[0]  # the meter has means over both
    assert terms[0] == pytest.approx(first**2, abs=1e-5)
    assert 2 * terms[1] - terms[0] == pytest.approx((second - first / 2) ** 2, abs=1e-5)


def test_the_last_epoch_is_kept_whatever_its_accuracy(source: Source) -> None:
    program = gated(source, target=0.0, times="gates", weight=100)
    tuned = train(program, how(3), validation=stream(problem(50, seed=1)))
    assert tuned.history.best == 3


def test_an_annealing_without_enough_epochs_is_refused_before_it_begins(source: Source) -> None:
    program = gated(source, course="anneal", anneal_step=0.1, anneal_every=1)
    with pytest.raises(OptionError, match=r"0.6 is not reached in 4 epochs: train for 5 or more"):
        train(program, how(4))
