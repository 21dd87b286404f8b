"""How a training goes, as a line for each epoch, and what came of it, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import RenderableType

from hydrafy.report.numbers import percent
from hydrafy.report.tables import pairs

if TYPE_CHECKING:
    from hydrafy.train.finetune import Tuned
    from hydrafy.train.history import Epoch, Step, Validation


def step_line(step: Step) -> str:
    """Where an epoch stands: its loss, and the terms; those of one kind (`branches.0` ...) as
    their mean.
    """
    kinds: dict[str, list[float]] = {}
    for name, value in step.terms.items():
        kinds.setdefault(name.partition(".")[0], []).append(value)
    terms = ", ".join(f"{name} {sum(v) / len(v):.3f}" for name, v in kinds.items())
    loss = f"loss {step.loss:.3f}" + (f" ({terms})" if len(step.terms) > 1 else "")
    accuracy = f"training top-1 {percent(step.accuracy)}"
    return f"{step.epoch}/{step.epochs}: {accuracy}, {loss}{_rates(step.rates)}"


def epoch_line(epoch: Epoch) -> str:
    """A finished epoch, with its validation."""
    line, found = f"epoch {step_line(epoch.step)}", epoch.validation
    if found is None:
        return f"{line}, {epoch.seconds:.0f} s"
    judged = f"; validation top-1 {percent(found.top1)}{_exits(found)}{_rates(found.rates)}"
    return f"{line}{judged}, {epoch.seconds:.0f} s"


def tuned(found: Tuned) -> RenderableType:
    """What came of a training."""
    history = found.history
    facts = {"epochs": str(len(history.epochs))}
    if history.epochs:
        last = history.epochs[-1].step
        facts |= {"training loss": f"{last.loss:.3f}", "training top-1": percent(last.accuracy)}
        best = history.epochs[history.best - 1].validation
        if history.best and best is not None:
            facts["best epoch"] = f"{history.best}, validation top-1 {percent(best.top1)}"
    if found.drifts:
        facts["BatchNorms recalibrated"] = str(len(found.drifts))
    if found.validation is not None:
        now = found.validation
        accuracy = f"top-1 {percent(now.top1)}, top-5 {percent(now.top5)}"
        accuracy += f"{_exits(now)}{_rates(now.rates)}"
        facts["what was written, on the validation images"] = accuracy
    if history.damaged:
        facts["damaged images, left out"] = f"{len(history.damaged)}: {history.damaged[0]}"
    return pairs(facts)


def _exits(found: Validation) -> str:
    """What each early exit is right about, if all images leave there."""
    tops = " ".join(f"{100 * top1:.1f}" for top1 in found.exits.values())
    return f", at the exits {tops} %" if tops else ""


def _rates(rates: Mapping[str, tuple[float, ...]]) -> str:
    """How many choices an image takes on average, of all decisions of one kind (`gates.0` ...)."""
    kinds: dict[str, list[float]] = {}
    for name, shares in rates.items():
        kinds.setdefault(name.partition(".")[0], []).extend(shares)
    return "".join(f", {name} {sum(v):.2f} of {len(v)}" for name, v in kinds.items())
