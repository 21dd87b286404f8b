"""Without exits the dial is turned until a setting is near to the budget, and keeps it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.runtime.calibrate.budget import Budget
from hydrafy.runtime.calibrate.dial import knobs
from hydrafy.runtime.calibrate.looked import LEVELS, Looker, Looks
from hydrafy.runtime.calibrate.observed import Observer
from hydrafy.runtime.evaluate.entrant import enter
from hydrafy.train.data import Data


@pytest.fixture(scope="module")
def looks(
    source: Callable[..., Program], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[float], Looks]:
    program = base.run(source("resnet8"), [InsertBypass()])
    rng = np.random.default_rng(0)
    for name in sorted(program.graph.initializers):
        if name.startswith("gates") and name.endswith("logits.weight"):
            program.set_weight(name, rng.standard_normal(program.weight(name).shape).astype("f"))
    file = program.save(tmp_path_factory.mktemp("looked") / Path("net.onnx"))
    noise = rng.standard_normal((200, 3, 16, 16)) * rng.uniform(0.1, 4, (200, 1, 1, 1))
    entrant = enter(file, Data(noise.astype(np.float32), np.arange(200) % 10))
    observer = Observer.of(entrant, knobs(program))
    return lambda share: Looker(observer, None, lambda *_: None).looks(Budget(share))


@pytest.mark.parametrize("share", [0.4, 0.75])
def test_a_setting_is_near_to_the_budget(looks: Callable[[float], Looks], share: float) -> None:
    found = looks(share)
    costs = np.array([look.table.judge(()).mean for look in found.all]) / found.whole
    assert costs.max() == 1 and costs[1] == 1
    assert len(costs) > LEVELS + 2  # it was turned further
    assert share - costs[costs <= share].max() < 0.004


def test_a_setting_that_costs_too_much_comes_before_one_that_does_not(
    looks: Callable[[float], Looks],
) -> None:
    """Costs fall from open gates to closed ones; what no gate guards is always paid."""
    found = looks(0.5)
    costs = [look.table.judge(()).mean for look in found.all[1:]]
    assert costs == sorted(costs, reverse=True) and 0 < costs[-1] < 0.1 * costs[0]
