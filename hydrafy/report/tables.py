"""Results as tables for a terminal; nothing is computed here but the share of a whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from hydrafy.report.numbers import count, percent, points, size

if TYPE_CHECKING:
    from hydrafy.analysis.cost import Cost
    from hydrafy.ir.manifest import Entry
    from hydrafy.recipes.base import Option
    from hydrafy.runtime.convert import Report
    from hydrafy.runtime.demo import DemoResult
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
