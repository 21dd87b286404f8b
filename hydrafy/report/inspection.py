"""What a file holds, as tables and a tree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from hydrafy.report.numbers import count, percent, shape, size
from hydrafy.report.tables import MANY, alike, pairs, table

if TYPE_CHECKING:
    from hydrafy.analysis.predication.regions import Region
    from hydrafy.runtime.inspection import Block, Inspection, Part, Setting, Stage


def inspection(found: Inspection) -> RenderableType:
    """The whole of a file: costs, tree of its parts, splits or regions, inputs and outputs."""
    facts = {
        "file": f"{found.file} ({found.stage})",
        "source": found.source or "-",
        "parameters": f"{found.parameters:,}",
        "weights": size(found.bytes),
        "MACs of one image": count(found.macs),
    }
    if found.macs_active is not None:
        share = percent(found.macs_active / found.macs) if found.macs else "-"
        facts["MACs expected"] = f"{count(found.macs_active)} ({share})"
    if found.milliseconds is not None:
        where = f"batch 1, one thread of {found.machine}"
        facts["milliseconds expected"] = f"{found.milliseconds:.2f}, {where}"
    if found.recipe is not None:
        chosen = ", ".join(f"{name}={_option(value)}" for name, value in found.options.items())
        facts["recipe"] = f"{found.recipe}: {chosen}"
    if found.normalisation is not None:
        norm = found.normalisation
        facts["normalisation"] = f"mean {list(norm.mean)}, std {list(norm.std)}"
    items: list[RenderableType] = [pairs(facts), Text()]
    items.append(_stages(found) if found.stage == "static" else _parts(found))
    if found.regions:
        items += [Text(), _regions(found.regions)]
    if found.splits:
        items += [Text(), _splits(found)]
    if found.no_split is not None:
        items += [Text(), Text(f"No split: {found.no_split}")]
    ports = ((p.name, p.role, shape(p.shape)) for p in (*found.inputs, *found.outputs))
    items += [Text(), table(("input or output", "role", "shape"), ports)]
    if found.runtime_inputs:
        items += [Text(), _settings(found)]
    return Group(*items)


def _stages(found: Inspection) -> RenderableType:
    ends = {p.name: p for p in found.parts}
    tree = Tree(Text("network"))
    if "stem" in ends:
        tree.add(Text(f"stem  {_costs(ends['stem'])}"))
    for stage in found.stages:
        branch = tree.add(Text(f"{stage.name}  {shape(stage.shape)}  {_costs(stage)}"))
        for block in stage.blocks:
            branch.add(Text(f"{block.name}  {block.kind}, {_costs(block)}"))
    if "head" in ends:
        tree.add(Text(f"head  {_costs(ends['head'])}"))
    return tree


def _costs(part: Part | Stage | Block) -> str:
    return (
        f"{count(part.macs)} MACs, {count(part.parameters)} parameters, "
        f"{size(part.activations)} activations"
    )


def _parts(found: Inspection) -> RenderableType:
    rows = (
        (
            p.name,
            str(p.nodes),
            count(p.macs),
            count(p.macs_active),
            count(p.parameters),
            size(p.activations),
        )
        for p in found.parts
    )
    headings = ("part", "nodes", "MACs", "expected", "parameters", "activations")
    return table(headings, alike(rows), numbers=5)


def _splits(found: Inspection) -> RenderableType:
    rows = (
        (s.name, s.recipe, s.refusal)
        if s.macs is None or s.share is None
        else (s.name, s.recipe, f"{count(s.macs)} MACs, {percent(s.share)} of now")
        for s in found.splits
    )
    clean = ((name, recipe, why or "") for name, recipe, why in rows)
    return table(("split before", "recipe", "expected at default options"), clean)


def _regions(regions: Iterable[Region]) -> RenderableType:
    rows = (
        (
            r.name,
            _predicate(r),
            percent(r.share),
            str(r.nodes),
            count(r.macs),
            size(r.activations),
        )
        for r in regions
    )
    headings = ("region", "runs if", "expected", "nodes", "MACs", "activations")
    return table(headings, alike(rows), numbers=4)


def _predicate(region: Region) -> str:
    return region.predicate if region.side == "a" else f"not {region.predicate}"


def _settings(found: Inspection) -> RenderableType:
    rows = (
        (s.name, shape(s.shape), _default(s.default), _range(s), _number(s.neutral), s.meaning)
        for s in found.runtime_inputs
    )
    return table(("run-time input", "shape", "default", "range", "neutral", "meaning"), rows)


def _option(value: Any) -> str:
    return _default(value) if isinstance(value, tuple) else str(value)


def _default(array: Any) -> str:
    """Numbers as --set takes them; one number where all are the same, their range if many."""
    found = np.ravel(array).tolist()
    if len(set(found)) == 1:
        return f"{found[0]:g}"
    if len(found) > MANY:
        return f"{min(found):.4g} to {max(found):.4g}"
    return ",".join(f"{number:.4g}" for number in found)


def _range(setting: Setting) -> str:
    return f"{setting.range[0]:g} to {setting.range[1]:g}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
