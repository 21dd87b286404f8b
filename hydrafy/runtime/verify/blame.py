"""Blame: the region of a lowered program from which a difference came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.predication.choices import leaves
from hydrafy.analysis.predication.predicates import Condition, noted
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.cut import Cut
from hydrafy.runtime.verify.compare import Arrays, Form, compare

JOINS = frozenset({"If", "ScatterND", "Where"})
"""What puts the results of regions where they belong."""


@dataclass(frozen=True)
class Point:
    """A value of the lowered program that stands for one of the dense one.

    Attributes:
        place: where the dense value stands in its graph; the first difference counts.
        dense: its name.
        lowered: the name of the lowered value.
        region: what to blame.
        condition: which rows of the dense value are there; None where all are.
    """

    place: int
    dense: str
    lowered: str
    region: str
    condition: Condition | None = None


def blame(dense: Program, given: Arrays, lowered: Program, fed: Arrays, limit: float) -> str:
    """A clause that names the region which first computes something else.

    The results of regions, and what they were put together to, are compared along the graph. What
    lies in a region of a region is seen in the result of the outer one.

    Args:
        dense: a dynamic program.
        given: its inputs, decisions among them.
        lowered: the other form.
        fed: its inputs.
        limit: as `compare` takes it.
    """
    if lowered.manifest.target == "native":  # its values are in blocks of channels
        return ""
    points = sorted(_points(dense, lowered), key=lambda p: p.place)
    wanted = _fetch(dense, [p.dense for p in points], given)
    read = [v for p in points if p.condition is not None for v in p.condition.predicate.values]
    found = {**given, **_fetch(lowered, [*(p.lowered for p in points), *read], fed)}
    for point in points:
        rows, theirs = wanted[point.dense], found[point.lowered]
        if point.condition is not None:
            if not found.keys() >= set(point.condition.predicate.values):
                continue
            held = point.condition.predicate.of(found) == point.condition.holds
            held = np.broadcast_to(held, len(rows))
            if len(theirs) == len(rows):  # image by image an If returns something for each
                theirs = theirs[held]
            rows = rows[held]
        if compare({"": rows}, {"": theirs}, limit)[1]:
            return f"; the first difference is in {point.region}"
    return "; all regions agree, so it comes from what follows them"


def _points(dense: Program, lowered: Program) -> Iterator[Point]:
    """The results of regions of the main graph that have a dense value of the same name."""
    place = {v.name or "": i for i, node in enumerate(dense.graph) for v in node.outputs}
    for node in lowered.graph:
        condition = noted(node) if node.op_type == "If" else None
        for number, value in enumerate(node.outputs):
            name = value.name or ""
            if node.op_type in JOINS and name in place:
                yield Point(place[name], name, name, f"{_regions(node)} as put into {name!r}")
            for leaf, predicate in leaves(node):
                inner = leaf.outputs[0].name or ""
                if inner in place:
                    title = f"region {leaf.name!r}"
                    yield Point(place[inner], inner, name, title, Condition(predicate))
            if condition is None:
                continue
            inner = node.attributes["then_branch"].as_graph().outputs[number].name or ""
            other = node.attributes["else_branch"].as_graph().outputs[number].name or ""
            if inner in place and other not in place:
                yield Point(place[inner], inner, name, _title(node), condition)


def _regions(node: ir.Node) -> str:
    """The regions whose results a node puts together."""
    made = (v.producer() for v in node.inputs if v is not None)
    names = [_title(one) for one in (node, *made) if one is not None and one.op_type == "If"]
    return " and ".join(names) or "what is chosen,"


def _title(branch: ir.Node) -> str:
    return f"region {(branch.name or '').removesuffix('.if')!r}"


def _fetch(program: Program, names: list[str], feeds: Arrays) -> dict[str, np.ndarray]:
    computed = {v.name for node in program.graph for v in node.outputs}
    wanted = tuple(dict.fromkeys(name for name in names if name in computed))
    if not wanted:
        return {}
    return Form.of(base.run(program.clone(), [Cut((), wanted)])).run(feeds)
