"""What is foreseen: times that follow the rates, the verdict in the words of a bench."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from hydrafy.analysis.latency import typical
from hydrafy.analysis.predication.need import shares
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.runtime.convert import convert
from hydrafy.runtime.foresee import foresee, source_of
from hydrafy.runtime.lower import Lowering, unproven
from hydrafy.runtime.read import read

Zoo = Callable[..., Path]
NET = {"width": 16, "size": 32}


@pytest.fixture(scope="module")
def static(zoo_file: Zoo) -> Program:
    return read(zoo_file("resnet20", **NET))


@pytest.fixture(scope="module")
def dynamic(static: Program) -> Program:
    return base.run(static.clone(), [InsertBypass()])


def test_it_is_what_the_model_says_of_the_lowered_network(
    static: Program, dynamic: Program
) -> None:
    lowered = unproven(dynamic)
    found = foresee(dynamic, static)
    assert found is not None and found == foresee(lowered, static)
    assert (found.machine, found.fitted) == ("a typical machine", False)
    assert found.skipped == pytest.approx(0.5)
    for one in found.sizes:
        model = typical()
        assert one.static == pytest.approx(model.predict(static, batch=one.batch) / one.batch)
        wanted = model.predict(lowered, shares(lowered), one.batch) / one.batch
        assert one.milliseconds == pytest.approx(wanted)
        assert [point.skipped for point in one.points] == pytest.approx([0, 0.25, 0.5, 0.75, 1])
        times = [point.milliseconds for point in one.points]
        assert times == sorted(times, reverse=True)
        assert times[2] == pytest.approx(one.milliseconds)  # all at one half, as expected
        assert one.verdict is not None and one.verdict.startswith(f"Batch {one.batch}: faster, ")
    assert [one.batch for one in found.sizes] == [1, 32]


def test_the_more_is_skipped_the_better_the_verdict(static: Program, dynamic: Program) -> None:
    names = [rate.predicate for rate in dynamic.manifest.rates]
    told = {}
    for rate in (1.0, 0.75, 0.0):
        found = foresee(dynamic, static, rates=dict.fromkeys(names, rate))
        assert found is not None and found.skipped == pytest.approx(1 - rate)
        told[rate] = found.sizes[0]
    wins = {one.wins_from for one in told.values()}
    assert len(wins) == 1 and 0 < wins.pop() < 0.5  # what it needs has nothing to do with rates
    words = [(one.verdict or "").split(": ")[1].split(",")[0] for one in told.values()]
    assert words == ["slower", "break-even within the spread", "faster"]


EXITS = {"exits.at": "stage2", "exits.classifier": "linear"}
BRANCHES = {"dynk.branches": 3, "dynk.k": 2}


@pytest.mark.parametrize(
    ("recipes", "options"),
    [
        (("exits",), {"exits": 2}),
        (("bypass", "exits"), EXITS),
        (("dynk", "exits"), BRANCHES | EXITS),
    ],
)
def test_points_go_from_all_to_nothing_where_exits_meet_gates(
    static: Program, recipes: tuple[str, ...], options: dict[str, object]
) -> None:
    found = foresee(convert(static, recipes, **options), static)
    assert found is not None
    for one in found.sizes:
        skipped = [point.skipped for point in one.points]
        assert skipped[0] == 0 and skipped[-1] == 1 and len(set(skipped)) == 5
        times = [point.milliseconds for point in one.points]
        assert times == sorted(times, reverse=True)
        assert times[0] > one.milliseconds > times[-1]


def test_a_tree_of_branches_is_not_told_to_skip_them(static: Program) -> None:
    """One of three runs, so what an exit leaves out is all that there is between the points."""
    made = convert(static, ("dynk", "exits"), **{**BRANCHES, **EXITS, "dynk.k": 1})
    found = foresee(unproven(made, Lowering(single=True)), static)
    assert found is not None
    (one,) = found.sizes
    skipped = [point.skipped for point in one.points]
    assert 0 < skipped[0] < 0.5 and skipped[-1] == 1
    assert one.wins_from == skipped[0]
    assert one.verdict is not None
    assert one.verdict.endswith(f"it wins even with only {skipped[0] * 100:.0f} % skipped.")


def test_an_exit_that_spares_its_classifier_skips_never_nothing_nor_all(static: Program) -> None:
    """With learned exits who stays skips the classifier, and who leaves what is behind it."""
    found = foresee(convert(static, "bypass", exits="stage2"), static)
    assert found is not None
    for one in found.sizes:
        skipped = [point.skipped for point in one.points]
        assert 0 < skipped[0] < 0.4 and 0.6 < skipped[-1] < 1
        assert one.points[0].milliseconds == max(point.milliseconds for point in one.points)


def test_another_model_is_another_machine(static: Program, dynamic: Program) -> None:
    slow = dataclasses.replace(typical(), scale=3 * typical().scale, processor="mine")
    usual, mine = foresee(dynamic, static), foresee(dynamic, static, latency=slow)
    assert usual is not None and mine is not None
    assert (mine.machine, mine.fitted) == ("mine", True)
    assert mine.sizes[0].milliseconds > 2 * usual.sizes[0].milliseconds


def test_a_file_for_single_images_is_foreseen_at_that_size(
    static: Program, dynamic: Program
) -> None:
    single = unproven(dynamic, Lowering(single=True))
    found, of_any = foresee(single, static), foresee(dynamic, static)
    assert found is not None and of_any is not None
    assert [one.batch for one in found.sizes] == [1]
    assert found.sizes[0].milliseconds < of_any.sizes[0].milliseconds  # no rows to gather


def test_without_a_source_there_is_no_verdict(dynamic: Program) -> None:
    found = foresee(dynamic)
    assert found is not None
    assert all(one.static is None and one.verdict is None for one in found.sizes)
    assert all(one.wins_from is None and one.milliseconds > 0 for one in found.sizes)


def test_nothing_is_foreseen_of_other_precisions(dynamic: Program) -> None:
    small = dynamic.clone()
    small.manifest = dataclasses.replace(small.manifest, precision="int8")
    assert foresee(small) is None


def test_the_source_is_found_where_it_is_unchanged(
    zoo_file: Zoo, dynamic: Program, tmp_path: Path
) -> None:
    file = zoo_file("resnet20", **NET)
    found = source_of(dynamic, file.parent)
    assert found is not None and found.stage == "static"
    assert source_of(dynamic, tmp_path) is None
    (tmp_path / file.name).write_bytes(zoo_file("resnet8").read_bytes())
    assert source_of(dynamic, tmp_path) is None
    nameless = dynamic.clone()
    nameless.manifest = dataclasses.replace(nameless.manifest, source="")
    assert source_of(nameless, file.parent) is None
