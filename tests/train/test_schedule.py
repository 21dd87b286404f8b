import dataclasses
import math
from typing import Any

import pytest

from hydrafy.errors import OptionError
from hydrafy.train.schedule import Phase, Schedule

STEPS = 7  # of an epoch


def phase(**changes: Any) -> Phase:
    values: dict[str, Any] = {"epochs": 10, "batch_size": 8, "optimiser": "sgd"}
    return Phase(**(values | {"learning_rate": 0.1, "momentum": 0.9} | changes))


def schedule(*phases: Phase) -> Schedule:
    return Schedule("mine", "a test", phases or (phase(),))


def test_a_constant_rate_stays_and_milestones_count_from_the_initial_rate() -> None:
    assert {phase().share(step, STEPS) for step in range(10 * STEPS)} == {1.0}
    stepped = phase(decay="steps", milestones=((4, 0.1), (8, 0.5)))
    shares = [stepped.share(step, STEPS) for step in range(10 * STEPS)]
    assert shares == [1.0] * 4 * STEPS + [0.1] * 4 * STEPS + [0.5] * 2 * STEPS


def test_a_cosine_ends_at_zero_and_stays_there() -> None:
    falling = phase(decay="cosine")
    assert falling.share(0, STEPS) == 1.0
    assert falling.share(35, STEPS) == pytest.approx(0.5)
    assert falling.share(7, STEPS) == pytest.approx(0.5 * (1 + math.cos(0.1 * math.pi)))
    assert falling.share(70, STEPS) == falling.share(80, STEPS) == 0.0


def test_the_rate_rises_in_a_line_during_the_warm_up() -> None:
    stepped = phase(decay="steps", milestones=((5, 0.1),), warm_up=0.1)
    shares = [stepped.share(step, STEPS) for step in range(9)]
    assert shares == pytest.approx([1 / 7, 2 / 7, 3 / 7, 4 / 7, 5 / 7, 6 / 7, 1, 1, 1])
    falling = phase(decay="cosine", warm_up=0.1)
    assert falling.share(6, STEPS) == falling.share(7, STEPS) == 1.0 > falling.share(8, STEPS)
    assert falling.share(7 + 21, STEPS) == pytest.approx(0.75)  # a third of what is left
    assert phase(epochs=1, warm_up=0.01).share(0, 1) == 1.0  # too short to warm up


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs = 0 makes no sense: use one or more"),
        ({"batch_size": -1}, "batch_size = -1 makes no sense"),
        ({"learning_rate": math.inf}, "learning_rate = inf makes no sense: use one above 0"),
        ({"learning_rate": math.nan}, "learning_rate = nan makes no sense"),
        ({"clip": 0.0}, "clip = 0.0 makes no sense: use one above 0"),
        ({"weight_decay": -1.0}, "weight_decay = -1.0 makes no sense: 0 turns it off"),
        ({"warm_up": 1.0}, "warm_up = 1.0 makes no sense: it is a share"),
        ({"momentum": 1.0}, "momentum = 1.0 makes no sense"),
        ({"optimiser": "adam"}, "no optimiser 'adam': did you mean 'adamw'"),
        ({"decay": "cosinus"}, "no decay 'cosinus': did you mean 'cosine'"),
        ({"optimiser": "adamw"}, "adamw takes no momentum"),
        ({"momentum": 0.0, "nesterov": True}, "nesterov = true makes no sense without a momentum"),
        ({"frozen": ("a",), "trained": ("b",)}, "frozen and trained exclude each other"),
        ({"decay": "steps"}, "milestones and the decay 'steps' belong together"),
        ({"milestones": ((1, 0.1),)}, "milestones and the decay 'steps' belong together"),
        (
            {"decay": "steps", "milestones": ((4, 0.1), (4, 0.01))},
            "milestones after 4, 4 epochs make no sense in 10",
        ),
        ({"decay": "steps", "milestones": ((10, 0.1),)}, "after 10 epochs make no sense in 10"),
        ({"decay": "steps", "milestones": ((1, -1.0),)}, "has the factor -1.0: use one above 0"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        phase(**changes)


def test_other_epochs_keep_the_share_of_milestones() -> None:
    stepped = phase(epochs=190, decay="steps", milestones=((80, 0.1), (140, 0.01)))
    (short,) = schedule(stepped).change(epochs=[19]).phases
    assert (short.epochs, short.milestones) == (19, ((8, 0.1), (14, 0.01)))
    (tiny,) = schedule(stepped).change(epochs=[1]).phases
    shares = [tiny.share(step, 190) for step in range(190)]
    assert shares == [stepped.share(step, 1) for step in range(190)]
    assert schedule(stepped).change(epochs=[190]) == schedule(stepped) == schedule(stepped).change()
    with pytest.raises(OptionError, match="epochs = 0 makes no sense"):
        schedule(stepped).change(epochs=[0])


def test_each_phase_needs_its_epochs() -> None:
    two = schedule(phase(epochs=300), phase(epochs=180))
    assert [p.epochs for p in two.change(epochs=(3, 2)).phases] == [3, 2]
    with pytest.raises(OptionError, match=r"mine has 2 phases, but epochs for 1: .* as 300,180"):
        two.change(epochs=[20])
    with pytest.raises(OptionError, match="mine has 1 phase, but epochs for 2"):
        schedule().change(epochs=(1, 2))
    with pytest.raises(OptionError, match="mine has no phase"):
        Schedule("mine", "a test", ())


def test_values_are_changed_in_all_phases() -> None:
    two = schedule(phase(), phase(trained=("fc",)))
    changed = two.change(batch_size=4, learning_rate=0.01, weight_decay=0.0, clip=2.0)
    values = {"batch_size": 4, "learning_rate": 0.01, "weight_decay": 0.0, "clip": 2.0}
    expected = [dataclasses.replace(p, **values) for p in two.phases]
    assert list(changed.phases) == expected
    with pytest.raises(OptionError, match="learning_rate = -1 makes no sense"):
        two.change(learning_rate=-1)


def test_another_optimiser_brings_its_momentum() -> None:
    (adamw,) = schedule(phase(nesterov=True)).change(optimiser="adamw").phases
    assert (adamw.optimiser, adamw.momentum, adamw.nesterov) == ("adamw", 0.0, False)
    (sgd,) = schedule(adamw).change(optimiser="sgd").phases
    assert (sgd.optimiser, sgd.momentum, sgd.nesterov) == ("sgd", 0.9, False)
    same = schedule(phase(nesterov=True))
    assert same.change(optimiser="sgd") == same
