"""What pruning removed from a network, by layers and exits, and what that did to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from hydrafy.report.numbers import count, percent, size
from hydrafy.report.tables import pairs, table

if TYPE_CHECKING:
    from hydrafy.runtime.pruned import Form, Layer, Pruned, PrunedExit

STAGES = {"static": "static, plain ONNX: there is nothing left to lower"}
FATES = {
    "removed": "removed",
    "always": "runs always, its gate removed",
    "gated": "gated as before",
}
OUTCOMES = {
    "removed": "too few leave there: removed, with its classifier",
    "built on": "too few leave there; its classifier stays, for a later answer is made of it",
    "end": "nearly all leave there: removed what is behind it",
    "behind": "removed, behind the end",
    "kept": "an exit as before",
}


def pruning(found: Pruned) -> RenderableType:
    """A row for each layer and exit, for the network before and for what is left, and facts."""
    items: list[RenderableType] = []
    if found.layers:
        headings = ("what it lets run", "holds for", "MACs", "")
        items += [table(headings, map(_layer, found.layers)), Text()]
    if found.exits:
        headings = ("exit", "left by", "MACs that go with it", "")
        items += [table(headings, map(_exit, found.exits)), Text()]
    return Group(*items, *_whole(found))


def _whole(found: Pruned) -> Iterator[RenderableType]:
    headings = (
        "",
        "top-1",
        "MACs of an image, mean",
        "if nothing is skipped",
        "parameters",
        "bytes",
    )
    forms = (_form("before", found.before), _form("after", found.after))
    facts = {
        "images": f"{found.images:,}",
        "decided as now settled": percent(found.agreement),
        "network": STAGES.get(found.program.stage, found.program.stage),
    }
    if found.damaged:
        facts["unreadable images, left out"] = str(found.damaged)
    yield from (table(headings, forms, numbers=5), Text(), pairs(facts))


def _layer(layer: Layer) -> tuple[str, ...]:
    share = "-" if layer.activation is None else percent(layer.activation)
    return layer.predicate, share, count(layer.macs), FATES[layer.fate]


def _exit(one: PrunedExit) -> tuple[str, ...]:
    share = "-" if one.left is None else percent(one.left)
    return one.predicate, share, count(one.macs), OUTCOMES[one.fate]


def _form(name: str, form: Form) -> tuple[str, ...]:
    accuracy = "-" if form.accuracy is None else percent(form.accuracy)
    costs = (count(form.macs), count(form.stored_macs), count(form.parameters), size(form.bytes))
    return name, accuracy, *costs
