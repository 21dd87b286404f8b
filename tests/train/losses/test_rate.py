"""The loss of gates' rates, against its formulas (Probabilistic gates, Sections 2.1, 3.1, S2)."""

from typing import Any

import numpy as np
import pytest
import torch

from hydrafy.errors import OptionError
from hydrafy.ir.manifest import LossTerm
from hydrafy.train.losses.rate import annealed, check, value
from hydrafy.train.losses.seen import BEGINNING, Moment, Seen

DRAWN = {
    "a": torch.tensor([[1.0], [1.0], [0.0], [1.0]]),
    "b": torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),
}
RATES = np.array([0.75, 0.5, 0.25])


def term(**settings: Any) -> LossTerm:
    plain = {"decisions": ["a", "b"], "costs": [[1.0], [1.0, 1.0]], "target": 0.3}
    return LossTerm("rate", "a", 2.0, "rate", {**plain, **settings})


def loss(moment: Moment = BEGINNING, **settings: Any) -> float:
    seen = Seen(DRAWN, torch.zeros(4, dtype=torch.long), moment=moment)
    return float(value(term(**settings), seen))


def test_per_batch_it_is_the_distance_of_the_mean_rate() -> None:
    assert loss() == pytest.approx((0.5 - 0.3) ** 2)
    assert loss(times=3.0) == pytest.approx(3 * (0.5 - 0.3) ** 2)


def test_per_gate_it_is_the_mean_distance_of_the_rates() -> None:
    assert loss(scope="gate") == pytest.approx(((RATES - 0.3) ** 2).mean())


def test_costs_weigh_the_choices() -> None:
    costs = np.array([1.0, 2.0, 5.0])
    mean = (RATES * costs).sum() / costs.sum()
    listed = [[1.0], [2.0, 5.0]]
    assert loss(costs=listed) == pytest.approx((mean - 0.3) ** 2)
    by_gate = (costs * (RATES - 0.3) ** 2).sum() / costs.sum()
    assert loss(costs=listed, scope="gate") == pytest.approx(by_gate)


def test_one_side_may_cost_nothing() -> None:
    assert loss(penalty="above") == pytest.approx(0.04)
    assert loss(penalty="above", target=0.6) == 0
    assert loss(penalty="below") == 0
    assert loss(penalty="below", target=0.6) == pytest.approx(0.01)
    above = np.maximum(RATES - 0.3, 0) ** 2
    assert loss(penalty="above", scope="gate") == pytest.approx(above.mean())


def test_the_gradient_closes_gates_that_are_open_too_often() -> None:
    drawn = {name: array.clone().requires_grad_() for name, array in DRAWN.items()}
    value(term(), Seen(drawn, torch.zeros(4))).backward()
    for array in drawn.values():
        assert torch.allclose(array.grad, torch.tensor(2 * (0.5 - 0.3) / 12))


def test_an_annealed_target_falls_by_steps_to_the_target() -> None:
    made = term(course="anneal", step=0.25, every=2)
    assert [annealed(made, epoch) for epoch in range(8)] == [1, 1, 0.75, 0.75, 0.5, 0.5, 0.3, 0.3]
    settings = {"course": "anneal", "step": 0.25, "every": 2}
    assert loss(Moment(epoch=2), **settings) == pytest.approx((0.5 - 0.75) ** 2)


def test_a_variable_target_is_a_mean_with_the_rates_so_far() -> None:
    moment = Moment(batches=3, rates={"a": (0.9,), "b": (0.6, 0.6)})
    target = (0.3 + 3 * 0.7) / 4
    assert loss(moment, course="variable") == pytest.approx((0.5 - target) ** 2)
    assert loss(course="variable") == pytest.approx((0.5 - 0.3) ** 2)  # as an epoch begins


def test_an_annealing_that_never_reaches_its_target_is_refused() -> None:
    made = term(course="anneal", step=0.25, every=2)
    check(made, 7)
    with pytest.raises(OptionError, match=r"0.3 is not reached in 6 epochs: train for 7 or more"):
        check(made, 6)
    check(term(), 1)


@pytest.mark.parametrize("every", [0.3, 0.5, 1, 1.5, 2.3, 2.5, 5])
@pytest.mark.parametrize("step", [0.01, 0.03, 0.05, 0.1, 0.25])
@pytest.mark.parametrize("target", [0.05, 0.1, 0.3, 0.6, 0.9])
def test_as_many_epochs_as_it_asks_for_are_enough_and_no_more(
    every: float, step: float, target: float
) -> None:
    made = term(course="anneal", step=step, every=every, target=target)
    with pytest.raises(OptionError) as refused:
        check(made, 1)
    needed = int(str(refused.value).split("train for ")[1].split()[0])
    check(made, needed)
    assert annealed(made, needed - 1) == target
    if needed > 2:
        with pytest.raises(OptionError, match=f"train for {needed} or more"):
            check(made, needed - 1)


def test_exact_steps_reach_their_target() -> None:
    made = term(course="anneal", step=0.05, every=5, target=0.6)  # 8 steps, in decimals
    check(made, 41)
    with pytest.raises(OptionError, match="train for 41 or more"):
        check(made, 40)
