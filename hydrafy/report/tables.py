"""Results as tables and trees for a terminal; nothing is computed here but the share of a whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from hydrafy.report.numbers import count, percent, points, shape, size

if TYPE_CHECKING:
    from hydrafy.analysis.cost import Cost
    from hydrafy.ir.manifest import Entry
    from hydrafy.recipes.base import Option
    from hydrafy.runtime.convert import Report
    from hydrafy.runtime.demo import DemoResult
    from hydrafy.runtime.inspection import Block, Inspection, Part, Region, Setting, Stage
    from hydrafy.runtime.run import Run
    from hydrafy.runtime.verify import Verification

MANY = 8  # columns of a run-time input up to which all are printed
PIPE_WIDTH = 120  # columns, where the output is no terminal


def show(*what: RenderableType) -> None:
    """Prints on standard output."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    for item in what:
        console.print(item)


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", numbers: int = 0
) -> Table:
    """A plain table; the last `numbers` columns are aligned to the right."""
    made = Table(title=Text(title) if title else None, title_justify="left", box=None)
    made.pad_edge = False
    for place, heading in enumerate(headings):
        right = place >= len(headings) - numbers
        made.add_column(
            Text(heading, "bold"), justify="right" if right else "left", overflow="fold"
        )
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def pairs(values: Mapping[str, str]) -> Table:
    """Names and values, one pair a line."""
    made = Table.grid(padding=(0, 2))
    for name, value in values.items():
        made.add_row(Text(name, "dim"), Text(value, overflow="fold"))
    return made


def alike(rows: Iterable[Sequence[str]]) -> list[Sequence[str]]:
    """Rows in sequence that differ in nothing but the numbers of their names, as one row."""
    found: list[list[Sequence[str]]] = []
    kind = None
    for row in rows:
        before, kind = kind, [re.sub(r"\.\d+\b", ".#", cell) for cell in row]
        if kind != before:
            found.append([])
        found[-1].append(row)
    return [_joined(run) for run in found]


def _joined(run: list[Sequence[str]]) -> Sequence[str]:
    first, last = run[0], run[-1]
    return [a if a == b else f"{a} to {b}" for a, b in zip(first, last, strict=True)]


def conversion(report: Report, options: Mapping[str, Any]) -> RenderableType:
    """Source, executed and stored cost, the split, and whether the function is preserved."""
    executed, k = report.executed, options.get("k")
    ran = "expected" if k is None else f"expected ({k} branches)"
    rows = [
        _cost("source", report.source, report.source),
        _cost(ran, executed, report.source),
        _cost("stored", report.stored, report.source),
    ]
    difference = f"{report.divergence:.1e} of the output's scale"
    kept = "yes" if report.preserved else "no, it needs fine-tuning"
    facts = {"function preserved": f"{kept} (difference {difference})"}
    if report.reading is not None:
        read = f"difference {report.reading:.1e} of the output's scale"
        facts = {"read from the file": read, **facts}
    if "split" in options:
        facts = {"split before": str(options["split"]), **facts}
    headings = ("", "MACs of one image", "of source", "parameters", "bytes")
    return Group(table(headings, rows, numbers=4), Text(), pairs(facts))


def _cost(name: str, cost: Cost, whole: Cost) -> tuple[str, ...]:
    share = percent(cost.macs / whole.macs) if whole.macs else "-"
    return name, count(cost.macs), share, count(cost.parameters), size(cost.bytes)


def recipes(found: Iterable[tuple[str, str, str]]) -> RenderableType:
    """Recipes: name, what it does, where it comes from."""
    return table(("recipe", "what it does", "source"), found)


def options(found: Iterable[Option]) -> RenderableType:
    """A recipe's options."""
    rows = ((o.name, o.type, str(o.default), o.paper or "-", o.help) for o in found)
    return table(("option", "type", "default", "paper", "meaning"), rows)


def journal(entries: Iterable[Entry]) -> RenderableType:
    """What each pass did, or refused."""
    rows = (
        (str(number) if first else "", entry.by if first else "", note)
        for number, entry in enumerate(entries, start=1)
        for first, note in ((place == 0, text) for place, text in enumerate(entry.notes))
    )
    return table(("", "by", "what"), rows)


def lowering(regions: int, before: int, after: int, checked: Verification) -> RenderableType:
    """What lowering made, and what the comparison with the dense file found."""
    batches = ", ".join(map(str, checked.batches))
    return pairs({
        "regions": str(regions),
        "weights": f"{size(after)} (dynamic: {size(before)})",
        "compared": f"{checked.rows} images in batches of {batches}",
        "predicates": f"{checked.reached} reached both ways",
        "worst difference": f"{checked.worst:.1e} of the output's scale",
        "decisions compared": f"{checked.decided} rows of scores, ties among them, equal",
        "next to a threshold": f"{checked.near_threshold} images, whose decisions rounding flipped",
    })  # fmt: skip


def predictions(run: Run) -> RenderableType:
    """The best classes of each image, where it left, and what else was decided for it."""
    others = [name for name in run.choices if name not in run.leaving]
    headings = ["image", *(["left at"] if run.exits else []), *(["choices made"] if others else [])]
    rows = []
    for found in run.predictions:
        first = [found.path]
        if run.exits:
            first.append(f"exit {found.left_at} of {run.exits}")
        if others:
            first.append(_made([name for name in found.choices if name in others], len(others)))
        for top in found.top:
            rows.append([*first, top.title, percent(top.probability), f"{top.score:.3f}"])
            first = [""] * len(first)
    return table([*headings, "class", "probability", "score"], rows, numbers=3)


def _made(choices: Sequence[str], possible: int) -> str:
    """Choices by name; counted where they are many."""
    if len(choices) > 3:
        return f"{len(choices)} of {possible}"
    return ", ".join(choices) or "none"


def comparison(found: DemoResult) -> RenderableType:
    """The demo's result: static against dynamic."""
    a, b = found.static, found.dynamic
    rows = [
        ("accuracy", percent(a.accuracy), percent(b.accuracy), points(b.accuracy - a.accuracy)),
        ("MACs of one image", count(a.macs), count(b.macs), f"{b.macs / a.macs:.2f}"),
        *(
            (
                f"ms for one image, batch {n}",
                *(f"{s.milliseconds[n]:.3f}" for s in (a, b)),
                f"{r:.2f}",
            )
            for n, r in found.ratios.items()
        ),
        ("branches that ran, mean", "-", f"{found.branches:.2f}", ""),
    ]
    headings = (f"{found.images} test images, 1 thread", "static", "dynamic", "dynamic / static")
    return table(headings, rows, numbers=3)


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
