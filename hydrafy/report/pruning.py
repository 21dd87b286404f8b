"""What pruning removed from a network, layer by layer, and what that did to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from hydrafy.report.numbers import count, percent, size
from hydrafy.report.tables import pairs, table

if TYPE_CHECKING:
    from hydrafy.runtime.prune import Form, Layer, Pruned

STAGES = {"static": "static, plain ONNX: there is nothing left to lower"}
FATES = {
    "removed": "removed",
    "always": "runs always, its gate removed",
    "gated": "gated as before",
}


def pruning(found: Pruned) -> RenderableType:
    """A row for each layer, one for the network before and one for what is left, and facts."""
    layers = table(("what it lets run", "holds for", "MACs", ""), map(_layer, found.layers))
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
    return Group(layers, Text(), table(headings, forms, numbers=5), Text(), pairs(facts))


def _layer(layer: Layer) -> tuple[str, ...]:
    share = "-" if layer.activation is None else percent(layer.activation)
    return layer.predicate, share, count(layer.macs), FATES[layer.fate]


def _form(name: str, form: Form) -> tuple[str, ...]:
    accuracy = "-" if form.accuracy is None else percent(form.accuracy)
    costs = (count(form.macs), count(form.stored_macs), count(form.parameters), size(form.bytes))
    return name, accuracy, *costs
