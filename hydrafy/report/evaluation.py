"""Tables of an evaluation: files side by side, what ran, and the worst classes."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from hydrafy.report.numbers import count, given, percent, points
from hydrafy.report.tables import table

if TYPE_CHECKING:
    from hydrafy.runtime.evaluate.evaluation import Evaluation, Latency, Result

WORST = 3  # classes of each file
WIDE = 6  # results up to which each is a column of the table of what ran


def evaluation(found: Evaluation) -> RenderableType:
    """The whole of it, a row for each result; differences and ratios are to the first."""
    items: list[RenderableType] = [Text(_heading(found)), Text(), _results(found)]
    named = zip(titles(found), found.results, strict=True)
    dynamic = [(name, one) for name, one in named if one.predicates or one.decisions]
    if 0 < len(dynamic) <= WIDE:
        items += [Text(), _ran(dynamic)]
    elif dynamic:
        items += [Text(), Text("How often each predicate held: see --json or --csv.")]
    if len(found.results) <= WIDE and found.results[0].latencies:
        items += [Text(), _times(found)]
    items += [Text(), _worst(found)]
    return Group(*items)


def titles(found: Evaluation) -> list[str]:
    """A name for each result: its file and what was set, as short as tells them apart."""
    names = files(found)
    told = told_apart(found)
    return [" ".join([name, *one]) for name, one in zip(names, told, strict=True)]


def told_apart(found: Evaluation) -> list[list[str]]:
    """For each result the words that tell it from others of its file: its way, and what was set."""
    return [
        [*filter(None, [way]), *(f"{name}={given(value)}" for name, value in one.settings.items())]
        for way, one in zip(ways(found), found.results, strict=True)
    ]


def ways(found: Evaluation) -> list[str]:
    """For each result how its gates were run; empty where all are run by threshold."""
    several = any(one.gates not in ("", "threshold") for one in found.results)
    return [one.gates if several else "" for one in found.results]


def files(found: Evaluation) -> list[str]:
    """The file of each result, without its folders where all are told apart without them."""
    whole = [one.file for one in found.results]
    short = [Path(file).name for file in whole]
    return short if len(set(short)) == len(set(whole)) else whole


def _heading(found: Evaluation) -> str:
    parts = [f"{found.images:,} images of {found.data}"]
    if found.damaged:
        parts.append(f"{found.damaged:,} more could not be read")
    if any(one.latencies for one in found.results):
        threads = f"{found.threads} thread{'' if found.threads == 1 else 's'}"
        threads = threads if found.threads else "onnxruntime's choice of threads"
        parts.append(f"timed on {threads}, mean ms for one image, and over that of the first")
    return "; ".join(parts)


def _results(found: Evaluation) -> RenderableType:
    sizes = list(found.results[0].latencies)
    told = told_apart(found)
    swept = any(told)
    rows = []
    for name, one, words in zip(files(found), found.results, told, strict=True):
        row = [name]
        if swept:
            row.append(", ".join(words))
        row += [_fine(one.top1, one.spread), _against(one, found.results[0]), _fine(one.top5)]
        row += _macs(one, found.results[0])
        row += [cell for size in sizes for cell in _time(one.latencies[size])]
        rows.append(row)
    headings = ["file", "set"] if swept else ["file"]
    headings += ["top-1", "", "top-5", "MACs", ""]
    headings += [cell for size in sizes for cell in (f"ms, batch {size}", "")]
    return table(headings, rows, numbers=len(headings) - (2 if swept else 1))


def _against(one: Result, first: Result) -> str:
    return "" if one is first else points(one.top1 - first.top1)


def _fine(share: float, spread: float | None = None) -> str:
    return f"{100 * share:.2f} %" if spread is None else f"{100 * share:.2f} ± {100 * spread:.2f} %"


def _macs(one: Result, first: Result) -> list[str]:
    if one.macs is None:
        return ["-", ""]
    return [count(one.macs), f"{one.macs / first.macs:.2f}" if first.macs else ""]


def _time(latency: Latency) -> list[str]:
    return [f"{latency.milliseconds.mean:.3f}", f"{latency.ratio.mean:.2f}"]


def _times(found: Evaluation) -> RenderableType:
    """Quartiles of all times."""
    rows = [
        (
            name,
            str(size),
            f"{one.milliseconds.mean:.3f}",
            f"{one.milliseconds.low:.3f} to {one.milliseconds.high:.3f}",
            f"{one.ratio.mean:.2f}",
            f"{one.ratio.low:.2f} to {one.ratio.high:.2f}",
        )
        for name, result in zip(titles(found), found.results, strict=True)
        for size, one in result.latencies.items()
    ]
    headings = ("ms of one image", "batch", "mean", "quartiles", "over the first", "quartiles")
    return table(headings, rows, numbers=5)


def _ran(results: Sequence[tuple[str, Result]]) -> RenderableType:
    """Where images left, how often choices were made and predicates held, a column a result."""
    each = [dict(_rates(one)) for _, one in results]
    whats = dict.fromkeys(what for rates in each for what in rates)
    rows = [[what, *(rates.get(what, "-") for rates in each)] for what in whats]
    headings = ["of all images", *(name for name, _ in results)]
    return table(headings, rows, numbers=len(results))


def _rates(one: Result) -> Iterator[tuple[str, str]]:
    """What ran of one result; what several conditions let run is for --json and --csv."""
    for number, share in enumerate(one.leaves, 1):
        yield f"leave at exit {number} of {len(one.leaves)}", percent(share)
    for name, shares in one.decisions.items():
        told = len(shares) == 1 and one.predicates  # by the predicate that is this choice
        if name not in one.leaving and not told:
            yield f"{name}: choices made, mean", f"{sum(shares):.2f} of {len(shares)}"
    for name, share in one.predicates.items():
        if name not in one.leaving:
            yield name, percent(share)


def _worst(found: Evaluation) -> RenderableType:
    rows = []
    for name, one in zip(titles(found), found.results, strict=True):
        known = ((share, label) for label, share in enumerate(one.classes) if share is not None)
        least = heapq.nsmallest(WORST, known)
        rows.append((name, ", ".join(f"{_class(found, n)} {percent(s)}" for s, n in least)))
    return table(("", "worst classes, top-1"), rows)


def _class(found: Evaluation, label: int) -> str:
    return found.names[label] if label < len(found.names) else str(label)
