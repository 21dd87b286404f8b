"""Regions: what a dynamic or lowered program can skip, each with what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from hydrafy.analysis.cost import cost_of
from hydrafy.analysis.predication.choices import leaves, noted_choice
from hydrafy.analysis.predication.need import SIDES, alive, region, stated
from hydrafy.ir import ops
from hydrafy.ir.program import Program


@dataclass(frozen=True)
class Region:
    """What runs only where a predicate says so; `share` is for how many images that is expected."""

    name: str
    predicate: str
    side: str
    share: float
    nodes: int
    macs: int
    activations: int


def regions(program: Program) -> Iterator[Region]:
    """What a dynamic or lowered program can skip, in the order of its nodes."""
    if program.stage == "lowered":
        yield from _ifs(program.graph)
        return
    rates = {rate.predicate: rate.share for rate in program.manifest.rates}
    needed = alive(program)
    for node in program.graph:
        if not ops.is_select(node):
            continue
        predicate = _name(node.inputs[0])
        rate = rates.get(predicate)
        for side in SIDES:
            inside = region(node, side, needed)
            if inside:
                share = 1.0 if rate is None else rate if side == "a" else 1 - rate
                yield _region(node.name or "", predicate, side, share, inside)


def _ifs(graph: ir.Graph) -> Iterator[Region]:
    for node in graph:
        if (choice := noted_choice(node)) is not None:
            likely = choice.shares({})
            for leaf, predicate in leaves(node):
                name, inside = predicate.name, list(leaf.all_nodes())
                yield _region(leaf.name or "", name, "a", likely[name], inside)
                yield from _ifs(leaf)
            continue
        found = stated(node)
        rate = 1.0 if found is None else found
        for name, side in (("then_branch", "a"), ("else_branch", "b")):
            if node.op_type != "If" or name not in node.attributes:
                continue
            inner = node.attributes[name].as_graph()
            share = rate if side == "a" else 1 - rate
            inside = list(inner.all_nodes())
            if cost_of(inside).macs:
                yield _region(node.name or "", _name(node.inputs[0]), side, share, inside)
            yield from _ifs(inner)


def _region(name: str, predicate: str, side: str, share: float, inside: list[ir.Node]) -> Region:
    found = cost_of(inside)
    return Region(name, predicate, side, share, len(inside), found.macs, found.activations)


def _name(value: ir.Value | None) -> str:
    return (value.name if value is not None else None) or ""
