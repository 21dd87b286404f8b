"""Prunes a dynamic file: what hardly ever runs on images leaves it, what always runs stays ungated.

So do exits at which hardly anybody leaves, and what is behind one at which nearly everybody does.

Source: Deep networks with probabilistic gates (2018), Section 4.2.1: trained for a rate of a whole
batch, most gates collapse to always open or never open.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydrafy.analysis.cost import cost
from hydrafy.analysis.exits import Exit, exits
from hydrafy.analysis.predication.executed import Work
from hydrafy.analysis.predication.need import alive
from hydrafy.analysis.predication.sources import predicates
from hydrafy.errors import DataError, ModelError, OptionError
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.prune import Prune
from hydrafy.runtime import data as images_from
from hydrafy.runtime.activations import Activations, activations
from hydrafy.runtime.feed import opened
from hydrafy.runtime.pruned import Fate, Form, Layer, Outcome, Pruned, PrunedExit
from hydrafy.runtime.run import overrides
from hydrafy.runtime.spent import spent
from hydrafy.train.data import Stream

BELOW, ABOVE = 0.01, 0.99
"""Where a layer counts as collapsed: it decides otherwise for one image of a hundred at most."""

Progress = Callable[[str, int, int], None]


def prune(
    file: str | os.PathLike[str],
    data: images_from.Source,
    *,
    below: float = BELOW,
    above: float = ABOVE,
    settings: Mapping[str, Any] | None = None,
    limit: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = lambda what, done, of: None,
) -> Pruned:
    """Measures how often each layer of a dynamic file runs, and removes what need not be decided.

    Args:
        file: a dynamic file.
        data: images like those that the network is for; with labels its accuracy is measured, too.
        below: a layer that runs for this share of the images, or a smaller one, is removed, and
            so is an exit at which so few of those leave who get there.
        above: one that runs for this share, or a larger one, runs always, and an exit at which so
            many leave is the end.
        settings: values of run-time inputs, by name, at which that is measured; those that are
            still there afterwards keep their defaults.
        limit: how many images to take, drawn from all; all where None.
        mean: of the pixels (0..1), for each channel, where the file records none.
        std: their standard deviation.
        say: takes sentences for the user.
        progress: called with what is going on, how many images are done, and of how many.

    Raises:
        FileError: the file or the images cannot be read.
        ModelError: the file is not dynamic.
        DataError: the images do not fit the network.
        OptionError: the bounds cross, or another option makes no sense.
    """
    _check(below, above, limit)
    program = _dynamic(Path(file))
    feeds = overrides(program, settings or {})
    stream = _images(program, data, mean, std, say)
    rows = range(stream.count) if limit is None else stream.sample(limit)
    seen = activations(program, stream, rows, feeds, lambda n, of: progress("measuring", n, of))
    early = {one.predicate.name or "": one for one in exits(program).early}
    every = _settled(early, seen, below, above)
    behind = _behind(program, early, every)
    settled = {name: held for name, held in every.items() if name not in behind}
    why = {
        name: f"for {seen.activation(name):.2%} of {seen.reached[name].sum()} images"
        for name in settled
    }
    made = base.run(program.clone(), [Prune(settled, why)])
    after = activations(made, stream, rows, feeds, lambda n, of: progress("comparing", n, of))
    found = Pruned(
        made,
        tuple(_layers(program, [n for n in seen.held if n not in early], settled, behind, seen)),
        tuple(_exits(program, early, settled, behind, seen, made)),
        _form(program, seen),
        _form(made, after),
        seen.agreeing(settled) / seen.images,
        seen.images,
        seen.damaged,
    )
    for remark in found.remarks:
        say(remark)
    return found


def _check(below: float, above: float, limit: int | None) -> None:
    if not 0 <= below < above <= 1:
        raise OptionError(
            f"the bounds {below:g} and {above:g} make no sense: use shares, 0 <= below < above <= 1"
        )
    if limit is not None and limit < 1:
        raise OptionError(f"limit = {limit} makes no sense: use 1 or more images")


def _dynamic(file: Path) -> Program:
    program = Program.load(file)
    if program.stage == "lowered":
        origin = program.manifest.lowered_from
        raise ModelError(
            f"{file} is lowered: prune the dynamic file it was lowered from"
            + (f", {origin}" if origin else "")
        )
    if program.stage != "dynamic":
        raise ModelError(
            f"{file} is no dynamic network, so nothing in it is gated: convert it, and finetune it"
        )
    return program


def _images(
    program: Program,
    data: images_from.Source,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    say: Callable[[str], None],
) -> Stream:
    """The images, with labels where there are some that fit."""
    found = opened(program, data, labelled=False, mean=mean, std=std)
    try:
        found = opened(program, data, mean=mean, std=std)
    except DataError as error:
        say(f"Accuracy is not measured: {error}.")
    if found.remark:
        say(found.remark)
    return found.stream


def _settled(
    early: Mapping[str, Exit], seen: Activations, below: float, above: float
) -> dict[str, bool]:
    """Whether predicates hold which let hardly any image run or leave, or nearly all."""
    found = {}
    for name in seen.held:
        leaving = early.get(name)
        share = seen.activation(name) if leaving is None else _left(leaving, seen)
        if share is not None and not below < share < above:
            most = bool(share > below)
            found[name] = most if leaving is None or leaving.leaves else not most
    return found


def _left(one: Exit, seen: Activations) -> float | None:
    """The share of the images that left at an exit, of those that got there; None if none did."""
    name = one.predicate.name or ""
    left = (seen.held[name] == one.leaves)[seen.reached[name]]
    return int(left.sum()) / len(left) if len(left) else None


def _behind(program: Program, early: Mapping[str, Exit], settled: Mapping[str, bool]) -> set[str]:
    """The predicates that nobody asks who leaves at the first exit at which everybody does."""
    for name, one in early.items():
        if settled.get(name) is one.leaves:
            left = base.run(program.clone(), [Prune({name: one.leaves})])
            return _names(program) - _names(left) - {name}
    return set()


def _names(program: Program) -> set[str]:
    return {value.name or "" for value in predicates(program)}


def _layers(
    program: Program,
    names: Sequence[str],
    settled: Mapping[str, bool],
    behind: Collection[str],
    seen: Activations,
) -> Iterator[Layer]:
    works = spent(program)
    for name in names:
        gone = name in behind or settled.get(name) is False
        fate: Fate = "removed" if gone else "always" if name in settled else "gated"
        yield Layer(name, seen.activation(name), _guarded(works, name), fate)


def _exits(
    program: Program,
    early: Mapping[str, Exit],
    settled: Mapping[str, bool],
    behind: Collection[str],
    seen: Activations,
    made: Program,
) -> Iterator[PrunedExit]:
    whole, needed = cost(program).macs, {node.name for node in alive(made, ("prediction",))}
    for name, one in early.items():
        classifier = one.logits.producer()
        assert classifier is not None
        outcome: Outcome = "built on" if classifier.name in needed else "removed"
        if name in behind:
            outcome = "behind"
        elif name not in settled:
            outcome = "kept"
        elif settled[name] is one.leaves:
            outcome = "end"
        alone = base.run(program.clone(), [Prune({name: settled.get(name, not one.leaves)})])
        yield PrunedExit(name, _left(one, seen), whole - cost(alone).macs, outcome)


def _guarded(works: Sequence[Work], name: str) -> int:
    """MACs of what runs for an image only if a predicate holds."""
    return sum(
        work.macs
        for work in works
        if any(one.predicate.name == name and one.holds for one in work.conditions)
    )


def _form(program: Program, seen: Activations) -> Form:
    whole = cost(program)
    right = seen.right
    accuracy = None if right is None else right / seen.images
    return Form(accuracy, seen.macs, whole.macs, whole.parameters, whole.bytes)
