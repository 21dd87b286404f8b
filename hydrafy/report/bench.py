"""Tables of a bench: the verdict, times side by side, given decisions, where the time goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from hydrafy.report.numbers import count, percent
from hydrafy.report.tables import alike, table

if TYPE_CHECKING:
    from hydrafy.runtime.bench.benched import Bench
    from hydrafy.runtime.timing import Ratio, Timing

LEAST = 0.005  # of the time, which a part must take to be told


def bench(found: Bench) -> RenderableType:
    """The whole of it, the verdicts first."""
    items: list[RenderableType] = [Text(one.verdict) for one in found.sizes]
    items += [Text(), Text(_heading(found)), Text(), _times(found), Text(), Text(_oracles(found))]
    if found.sizes[0].forced:
        items += [Text(), _forced(found)]
    items += [Text(), _parts(found), Text(), _rates(found)]
    return Group(*items)


def _heading(found: Bench) -> str:
    threads = f"{found.threads} thread{'' if found.threads == 1 else 's'}"
    spent = f"{count(found.macs)} MACs for an image"
    if found.static_macs:
        spent += f", {percent(found.macs / found.static_macs)} of the static network's"
    parts = [
        f"{found.images:,} images of {found.data}",
        threads if found.threads else "onnxruntime's choice of threads",
        f"onnxruntime {found.onnxruntime}, {found.processor}",
        spent,
    ]
    if found.noise:
        parts.insert(1, "on which gates decide as on no picture: name some with --data")
    return "; ".join(parts)


def _times(found: Bench) -> RenderableType:
    rows = []
    for one in found.sizes:
        batch = str(one.batch)
        rows.append((batch, "static", *_ms(one.static), "", ""))
        rows.append((batch, "deploy", *_ms(one.deploy), *_ratio(one.ratio)))
        if one.oracle is not None:
            rows.append((batch, "deploy, over its oracle", "", "", "", *_ratio(one.oracle)))
    headings = ("batch", "", "ms", "quartiles", "p95", "over static", "quartiles")
    return table(headings, rows, title="One image: means and quartiles", numbers=5)


def _ms(timing: Timing) -> tuple[str, ...]:
    return f"{timing.mean:.3f}", _spread(timing), f"{timing.p95:.3f}"


def _ratio(found: Ratio) -> tuple[str, ...]:
    return f"{found.mean:.3f}", _spread(found)


def _spread(found: Timing | Ratio) -> str:
    return f"{found.low:.3f} to {found.high:.3f}"


def _oracles(found: Bench) -> str:
    """What the oracle is."""
    kinds: dict[str, list[str]] = {}
    for size in found.sizes:
        if size.oracle is not None:
            kinds.setdefault(size.oracle_is, []).append(str(size.batch))
    each = "; ".join(f"at batch {', '.join(sizes)} {what}" for what, sizes in kinds.items())
    return f"The oracle does exactly the work that was needed, gates included: {each or 'none'}."


def _forced(found: Bench) -> RenderableType:
    rows = (
        (
            str(size.batch),
            percent(one.skipped),
            f"{one.milliseconds.mean:.3f}",
            *_ratio(one.ratio),
        )
        for size in found.sizes
        for one in size.forced
    )
    title = "Decisions or thresholds given, gates computed all the same"
    return table(
        ("batch", "work skipped", "ms", "over static", "quartiles"), rows, title=title, numbers=5
    )


def _parts(found: Bench) -> RenderableType:
    shares = [{part.name: part.share for part in size.parts} for size in found.sizes]
    names = [n for n in dict.fromkeys(n for one in shares for n in one) if _tells(n, found)]
    rows = [(name, *_spent(name, found)) for name in names]
    headings = ("where the time goes", *(f"ms, batch {one.batch}" for one in found.sizes))
    return table(headings, rows, numbers=len(found.sizes))


def _tells(name: str, found: Bench) -> bool:
    return any(part.name == name and part.share >= LEAST for s in found.sizes for part in s.parts)


def _spent(name: str, found: Bench) -> Iterator[str]:
    for size in found.sizes:
        share = next((part.share for part in size.parts if part.name == name), 0.0)
        yield f"{share * size.deploy.mean:.3f} ({percent(share)})"


def _rates(found: Bench) -> RenderableType:
    rows = [(name, percent(share)) for name, share in found.predicates.items()]
    return table(("predicate", "held for"), alike(rows), numbers=1)
