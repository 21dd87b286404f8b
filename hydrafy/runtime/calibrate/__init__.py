"""Calibrates a dynamic file: the thresholds with the best accuracy that keep a budget."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hydrafy.analysis.exits import exits
from hydrafy.analysis.predication.picks import TOP_K
from hydrafy.errors import DataError, ModelError, OptionError
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.calibrate import SetThresholds
from hydrafy.runtime import data as images_from
from hydrafy.runtime.calibrate.budget import Budget
from hydrafy.runtime.calibrate.budgeted import paper
from hydrafy.runtime.calibrate.calibration import Answer, Calibration, Judged, Step
from hydrafy.runtime.calibrate.dial import knobs
from hydrafy.runtime.calibrate.looked import Looker, Looks
from hydrafy.runtime.calibrate.observed import Observer, Progress
from hydrafy.runtime.calibrate.points import Points
from hydrafy.runtime.calibrate.rules import Rule, by_paper, choose, held_out
from hydrafy.runtime.calibrate.searched import search, together
from hydrafy.runtime.calibrate.settled import slots
from hydrafy.runtime.calibrate.table import Table
from hydrafy.runtime.calibrate.times import Clock
from hydrafy.runtime.evaluate.entrant import Entrant, enter
from hydrafy.runtime.evaluate.times import pooled

STEPS = 20  # of the curve, from the cheapest to the whole network
TIMED = 64  # images


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A program with thresholds for a budget, and how they were chosen."""

    program: Program
    found: Calibration


def calibrate(
    file: str | os.PathLike[str],
    data: images_from.Source,
    *,
    budget: float | None = None,
    budget_ms: float | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = lambda what, done, of: None,
) -> Calibrated:
    """Chooses thresholds on labelled images.

    Each exit has a threshold of its own. All thresholds of gates, of blocks as of branches, follow
    one dial, which closes the same share of the choices of each run-time input.

    Args:
        file: a dynamic one.
        data: labelled images that the network was not trained on, as
            `hydrafy.runtime.data.stream` takes them.
        budget: a share of the MACs that an image costs if nothing is skipped.
        budget_ms: instead, milliseconds of an image at batch 1, lowered, on this machine.
        mean: of the pixels (0..1), for each channel, where the file records none.
        std: their standard deviation.
        say: takes sentences for the user.
        progress: called with what is going on, how much of it is done, and of how much.

    Raises:
        FileError: the file or the images cannot be read.
        ModelError: the file is static, lowered, or has no thresholds, or one that is no number.
        DataError: the images or labels do not fit the file, or are too few.
        OptionError: none or both of the budgets are given, or no thresholds keep it.
    """
    wanted = Budget(budget, budget_ms)
    entrant = enter(Path(file), data, mean=mean, std=std)
    _check(entrant)
    for remark in entrant.remarks:
        say(remark)
    program = entrant.program
    observer, own = Observer.of(entrant, knobs(program)), slots(program)
    entries = [*(one.entry for one in own), *(one.entry for one in observer.knobs)]
    _check_thresholds(entrant, [entry.name for entry in entries], len(own) + 1)
    timed = None if budget_ms is None else Clock(program, pooled(entrant.stream, TIMED))
    looks = Looker(observer, timed, progress).looks(wanted)
    points, limit = Points(program, own, looks, wanted), wanted.cost(looks.whole)
    if limit >= looks.whole:
        say(
            f"The budget is what the network costs if nothing is skipped ({_told(wanted, looks)}), "
            "or more: thresholds are chosen for accuracy alone."
        )
    (choice,) = choose(looks.tables, [limit], search)
    if choice is None:
        raise _unreached(entrant, wanted, looks)
    steps = np.linspace(_least(looks), looks.whole, STEPS + 1)
    budgets = np.nextafter(steps, np.inf)  # a mean, times the number of images, is rounded
    found = Calibration(
        file=str(file),
        data=entrant.stream.name,
        images=len(looks.tables[0]),
        damaged=entrant.stream.count - len(looks.tables[0]),
        unit=wanted.unit,
        whole=wanted.told(looks.whole),
        budget=wanted.told(limit),
        answers=tuple(_answers(looks.tables[0], wanted, looks.whole)),
        before=points.before(),
        chosen=points.point(choice),
        curve=tuple(_curve(points, budgets.tolist())),
        paper=tuple(points.point(points.at(one)) for one in paper(looks.tables[0]) if own),
        held_out=_judged(points, limit, search),
        held_out_paper=_judged(points, limit, by_paper) if own else None,
    )
    why = (
        f"for {wanted}, on {found.images:,} images of {found.data}: "
        f"top-1 {found.chosen.top1:.2%} at {found.chosen.share:.3f} of the {wanted.unit}"
    )
    write = SetThresholds(points.settings(choice), points.rates(choice), why)
    return Calibrated(base.run(program.clone(), [write]), found)


def _check(entrant: Entrant) -> None:
    """Refuses files in which nothing is to be chosen."""
    file, program = entrant.file, entrant.program
    if program.stage == "lowered":
        origin = program.manifest.lowered_from or "the dynamic file that it was made from"
        raise ModelError(f"{file} is lowered: calibrate {origin}, and lower that again")
    if program.stage != "dynamic":
        raise ModelError(f"{file} is static, it has no thresholds: convert it first")
    if not knobs(program) and not exits(program).early:
        raise ModelError(f"{file} has no threshold that could be chosen: convert it again")
    if entrant.works is None:
        raise ModelError(f"{file} cannot be calibrated: {' '.join(entrant.remarks)}")


def _check_thresholds(entrant: Entrant, names: Sequence[str], count: int) -> None:
    """Refuses thresholds that are no numbers, and fewer images than exits."""
    for name in dict.fromkeys(names):
        if np.isnan(entrant.program.weight(name)).any():
            raise ModelError(
                f"{entrant.file} has a threshold {name!r} that is no number: convert it again"
            )
    if entrant.stream.count < count:
        raise DataError(
            f"{entrant.stream.name} has fewer images, {entrant.stream.count}, than {entrant.file} "
            f"answers, {count}: give more images"
        )


def _answers(table: Table, budget: Budget, whole: float) -> Iterator[Answer]:
    from scipy.stats import spearmanr

    for number, (hits, costs) in enumerate(zip(table.hits.T, table.costs.T, strict=True)):
        pair = table.scores[:, number - 1 : number + 1].T
        ranked = 0 < number < table.early and not any((one == one[0]).all() for one in pair)
        agreement = float(spearmanr(*pair).statistic) if ranked else None
        cost = float(costs.mean())
        yield Answer(budget.told(cost), cost / whole, float(hits.mean()), agreement)


def _least(looks: Looks) -> float:
    """The least that an image can cost, where all leave at the same exit."""
    return min(table.judge(one).mean for table in looks.tables for one in together(table))


def _told(budget: Budget, looks: Looks) -> str:
    whole = budget.told(looks.whole)
    return f"{whole:.4g} ms" if budget.unit == "ms" else f"{whole / 1e6:,.2f} M MACs"


def _unreached(entrant: Entrant, budget: Budget, looks: Looks) -> OptionError:
    file, least = entrant.file, budget.as_given(_least(looks), looks.whole)
    words = "the nearest that some do is"
    if not exits(entrant.program).early:
        gates = [gate for knob in knobs(entrant.program) for gate in knob.gates]
        gated = {"branches" if gate.op_type == TOP_K else "gated blocks" for gate in gates}
        words = (
            f"it has no exits, only {' and '.join(sorted(gated))} can be skipped, and the least is"
        )
    return OptionError(f"no thresholds of {file} keep a budget of {budget}: {words} {least}")


def _curve(points: Points, budgets: list[float]) -> Iterator[Step]:
    tables = points.looks.tables
    best = choose(tables, budgets, search)
    rival = choose(tables, budgets, by_paper) if points.slots else [None] * len(budgets)
    for budget, ours, theirs in zip(budgets, best, rival, strict=True):
        if ours is not None:
            own = None if theirs is None else points.point(theirs)
            yield Step(points.budget.told(budget), points.point(ours), own)


def _judged(points: Points, limit: float, rule: Rule) -> Judged | None:
    tables = points.looks.tables
    if len(tables[0]) < 2 * (len(points.slots) + 1):
        return None
    found = held_out(tables, limit, rule)
    return None if found is None else Judged(found.top1, points.budget.told(found.mean))
