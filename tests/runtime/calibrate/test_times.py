"""Times of a network with gates and exits: each belongs to its setting and its exit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.exits import InsertExits
from hydrafy.runtime import timing
from hydrafy.runtime.calibrate import times
from hydrafy.runtime.calibrate.budget import NANO, Budget
from hydrafy.runtime.calibrate.dial import knobs
from hydrafy.runtime.calibrate.looked import LEVELS, Looker
from hydrafy.runtime.calibrate.observed import Observer
from hydrafy.runtime.calibrate.times import Clock
from hydrafy.runtime.evaluate.entrant import enter
from hydrafy.train.data import Data
from tests.runtime.calibrate.networks import noise, spread
from tests.runtime.calibrate.tables import made

Settings = Mapping[str, np.ndarray]


class Known:
    """Takes a known time for a run, on a clock of its own; one of many is disturbed."""

    now, runs = 0.0, 0

    def run(self, feeds: Settings, wanted: Sequence[str]) -> None:
        self.runs += 1
        self.now += milliseconds(feeds) / 1e3 + 0.05 * (self.runs % 97 == 0)


def milliseconds(feeds: Settings) -> float:
    """The more the later an image leaves, the more gates are open, the brighter it is."""
    leaves = [*(feeds["exits.tau"][0] == 0), True]
    return 10 + 5 * leaves.index(True) - float(feeds["tau"].mean()) + float(feeds["input"].mean())


@pytest.fixture(scope="module")
def program(source: Callable[..., Program]) -> Program:
    exits = InsertExits(("stage2", "stage3"))
    return spread(base.run(source("resnet8"), [InsertBypass(), exits]))


@pytest.fixture
def clock(program: Program, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """For three images, which take -1, 0 and 4 milliseconds more."""
    known = Known()
    monkeypatch.setattr(times, "Session", lambda program, threads: known)
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: known.now))
    bright = np.array([-1, 0, 4], np.float32).reshape(3, 1, 1, 1)
    return Clock(program, np.broadcast_to(bright, (3, 3, 16, 16)).copy())


def test_each_setting_and_exit_has_its_own_time(clock: Clock) -> None:
    """Of images the mean, of repeats the median."""
    gates = [{"tau": np.full((1, 3), value, np.float32)} for value in (0, 0.5)]
    costs = clock.costs(gates, made(10, 2))
    assert (costs / NANO).tolist() == [[11, 16, 21], [10.5, 15.5, 20.5]]


def test_tables_have_the_times_of_their_settings(
    clock: Clock, program: Program, tmp_path: Path
) -> None:
    file = program.save(tmp_path / "net.onnx")
    entrant = enter(file, Data(noise(20), np.arange(20) % 10))
    observer = Observer.of(entrant, knobs(program))
    found = Looker(observer, clock, lambda *_: None).looks(Budget(milliseconds=15))
    assert len(found.all) == LEVELS + 2  # exits keep budgets, the dial need not
    assert len({float(look.settings["tau"].mean()) for look in found.all}) == LEVELS + 2
    for look in found.all:
        wanted = 11 + 5 * np.arange(3) - look.settings["tau"].mean()
        np.testing.assert_allclose(look.table.costs / NANO, np.tile(wanted, (20, 1)), atol=1e-5)
    assert found.whole == 21 * NANO
