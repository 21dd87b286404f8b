"""Decisions, or thresholds, that are given to a lowered network, to time it at some rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.bounds import bound
from hydrafy.analysis.predication.choices import noted_choice
from hydrafy.analysis.predication.executed import Work
from hydrafy.analysis.predication.polarity import Polarity
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.lower.inference import DropTraining
from hydrafy.passes.lower.merge import Merge
from hydrafy.passes.lower.reached import reached
from hydrafy.passes.steer import SteerDecisions
from hydrafy.runtime.bench.contest import Contest
from hydrafy.runtime.bench.decided import Decided, decide, forced
from hydrafy.train.data import Array

RATES = (1.0, 0.75, 0.5, 0.25, 0.0)  # of what a choice lets run


@dataclass(frozen=True, eq=False)
class Given:
    """What is decided for each image, and how a lowered network is brought to it.

    Attributes:
        decided: all of it.
        feeds: what the network is fed with besides the images, by name, a row for each image.
    """

    decided: Decided
    feeds: Mapping[str, Array]


def given(found: Contest, works: Sequence[Work], seed: int) -> tuple[Program, list[Given]]:
    """The lowered network as it takes decisions, and such at some rates, none if it takes none.

    It takes them as inputs, see `SteerDecisions`. Where a gate lies within a region, nothing that
    is fed gets there but its threshold: then thresholds are given, with which it decides so.

    Args:
        found: what is timed.
        works: what runs when.
        seed: of the decisions.
    """
    rng, polarity = np.random.default_rng(seed), Polarity.of(works)
    lowered = found.deploy.program
    if lowered.manifest.target != "dense" and _within(found.dense.program):
        return lowered, [one for rate in RATES for one in _bounded(found, polarity, rate, rng)]
    every = [one for rate in RATES for one in _steered(found, polarity, rate, rng)]
    return (base.run(lowered.clone(), [SteerDecisions()]) if every else lowered), every


def _within(program: Program) -> bool:
    """Whether a decision is made within a region when a program is lowered."""
    merged = base.run(program.clone(), [DropTraining(), Merge()])
    return bool(reached(merged))


def _steered(
    found: Contest, polarity: Polarity, rate: float, rng: np.random.Generator
) -> list[Given]:
    """Decisions as inputs; nothing where predicates do not follow from decisions alone.

    What a tree of Ifs chooses from stays as it was decided: one of its branches runs at any rate.
    Nor are there any decisions where nothing else is decided.
    """
    decisions = _decisions(found.dense.program)
    chosen = _chosen(found.deploy.program)
    if chosen.issuperset(value.name for value in decisions):
        return []
    drawn = {}
    for value in decisions:
        name, choices = value.name or "", _choices(value)
        rates = [polarity.of_column(name, one, rate) for one in choices]
        made = rng.random((len(found.images), len(choices))) < rates
        drawn[name] = made if choices[0] is not None else made[:, 0]
    drawn |= {name: found.decided.found[name] for name in chosen & drawn.keys()}
    decided = forced(found.dense.program, drawn)
    return [] if decided is None else [Given(decided, drawn)]


def _bounded(
    found: Contest, polarity: Polarity, rate: float, rng: np.random.Generator
) -> list[Given]:
    """Thresholds as inputs; nothing where no gate has one.

    A gate without one decides by itself, and one that always makes its best choices goes on doing
    so. Choices that share a threshold are drawn as one.
    """
    program, images = found.dense.program, found.images
    entries = {entry.name: entry for entry in program.manifest.runtime_inputs}
    rows: dict[str, Array] = {}
    drawn: set[tuple[str, int]] = set()
    for value in _decisions(program):
        gate = _gate(value)
        read = None if gate is None else bound(program, gate)
        if read is None or read.name not in entries:
            continue
        entry, own = entries[read.name], found.feeds.get(read.name, program.weight(read.name))
        row = rows.setdefault(read.name, np.repeat(own[:1], len(images), axis=0))
        for choice in _choices(value):
            column = read.column(choice or 0)
            if (read.name, column) not in drawn:
                share = polarity.of_column(value.name or "", choice, rate)
                made = rng.random(len(images)) < share
                row[:, column] = np.where(made, entry.minimum, entry.maximum)
                drawn.add((read.name, column))
    return [Given(decide(program, images, found.feeds, rows), rows)] if rows else []


def _decisions(program: Program) -> list[ir.Value]:
    """The outputs that are decisions, bool [N] or [N, choices]."""
    role = program.manifest.role
    return [v for v in program.graph.outputs if role(v.name or "") == "decision"]


def _choices(value: ir.Value) -> Sequence[int | None]:
    """The columns of a decision [N, choices]; None for the one choice of a decision [N]."""
    assert value.shape is not None
    columns = [d for d in list(value.shape)[1:] if isinstance(d, int)]
    return range(columns[0]) if columns else (None,)


def _gate(decision: ir.Value) -> ir.Node | None:
    """The gate that decides, alone or with a budget that it has to keep; None if there is none."""
    node = decision.producer()
    read = () if node is None else (v.producer() for v in node.inputs if v is not None)
    return next((one for one in (node, *read) if one is not None and ops.is_gate(one)), None)


def _chosen(deploy: Program) -> set[str]:
    """The decisions that the trees of Ifs of a lowered file choose by."""
    choices = filter(None, map(noted_choice, deploy.graph.all_nodes()))
    return {v for one in choices for option in one.options for v in option.predicate.values}
