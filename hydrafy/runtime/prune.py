"""Prunes a dynamic file: what hardly ever runs on images leaves it, what always runs stays ungated.

Source: Deep networks with probabilistic gates (2018), Section 4.2.1: trained for a rate of a whole
batch, most gates collapse to always open or never open.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hydrafy.analysis.cost import cost
from hydrafy.analysis.predication.executed import Work
from hydrafy.errors import DataError, ModelError, OptionError
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.prune import Prune
from hydrafy.runtime import data as images_from
from hydrafy.runtime.activations import Activations, activations
from hydrafy.runtime.feed import opened
from hydrafy.runtime.run import overrides
from hydrafy.runtime.spent import spent
from hydrafy.train.data import Stream

BELOW, ABOVE = 0.01, 0.99
"""Where a layer counts as collapsed: it decides otherwise for one image of a hundred at most."""

Fate = Literal["removed", "always", "gated"]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Layer:
    """What one predicate lets run.

    Attributes:
        predicate: its name.
        activation: how often it held, of the images that got to it; None if none did.
        macs: of what runs only if it holds, for one image.
        fate: `removed`, `always` (it stays, its gate went), or `gated` as before.
    """

    predicate: str
    activation: float | None
    macs: int
    fate: Fate


@dataclass(frozen=True)
class Form:
    """What a network is worth, before or after.

    Attributes:
        accuracy: top-1 on the images; None without labels.
        macs: executed for an image, the mean of all.
        stored_macs: of one image if nothing were skipped, gates and what only training needs
            included.
        parameters: trainable numbers.
        bytes: of all weights.
    """

    accuracy: float | None
    macs: float
    stored_macs: int
    parameters: int
    bytes: int


@dataclass(frozen=True)
class Pruned:
    """A pruned program, and what led to it.

    Attributes:
        program: static if nothing dynamic is left.
        layers: what could be skipped, in the order of the nodes.
        before: of the dynamic file, on these images.
        after: of what is left of it.
        agreement: the share of images for which nothing was decided otherwise than was settled:
            for these the network computes what it did.
        images: how many there were.
        damaged: how many more could not be read.
    """

    program: Program
    layers: tuple[Layer, ...]
    before: Form
    after: Form
    agreement: float
    images: int
    damaged: int


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
        below: a layer that runs for this share of the images, or a smaller one, is removed.
        above: one that runs for this share, or a larger one, runs always.
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
    fates = {name: _fate(seen.activation(name), below, above) for name in seen.held}
    settled = {name: fate == "always" for name, fate in fates.items() if fate != "gated"}
    why = {
        name: f"for {seen.activation(name):.2%} of {seen.reached[name].sum()} images"
        for name in settled
    }
    made = base.run(program.clone(), [Prune(settled, why)])
    if remark := _remark(settled, len(fates)):
        say(remark)
    after = activations(made, stream, rows, feeds, lambda n, of: progress("comparing", n, of))
    works = spent(program)
    return Pruned(
        made,
        tuple(
            Layer(name, seen.activation(name), _guarded(works, name), fate)
            for name, fate in fates.items()
        ),
        _form(program, seen),
        _form(made, after),
        seen.agreeing(settled) / seen.images,
        seen.images,
        seen.damaged,
    )


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


def _fate(activation: float | None, below: float, above: float) -> Fate:
    if activation is None or below < activation < above:
        return "gated"
    return "removed" if activation <= below else "always"


def _remark(settled: Mapping[str, bool], count: int) -> str:
    """What the user might not expect; empty if there is nothing."""
    if not settled:
        return "No layer is as often open or closed as the bounds ask for: nothing was removed."
    if len(settled) == count and not any(settled.values()):
        return "Every gated layer was removed: of the blocks only what no gate guarded is left."
    return ""


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
