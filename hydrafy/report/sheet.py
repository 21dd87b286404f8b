"""An evaluation as CSV: one row for each file and value of its run-time inputs."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from hydrafy.report.numbers import given

if TYPE_CHECKING:
    from hydrafy.runtime.evaluate.evaluation import Evaluation, Result
    from hydrafy.runtime.timing import Ratio, Timing


def sheet(found: Evaluation) -> str:
    """The text; a column that a row has nothing for is empty there."""
    rows = [_row(found, one) for one in found.results]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(found: Evaluation, one: Result) -> dict[str, object]:
    row: dict[str, object] = {"file": one.file, "stage": one.stage}
    set_ = dict.fromkeys(name for each in found.results for name in each.settings)
    row |= {f"set {n}": given(one.settings[n]) if n in one.settings else "" for n in set_}
    row |= {"gates": one.gates, "images": found.images, "damaged": found.damaged}
    row |= {"top1": one.top1, "top1 spread": one.spread, "top5": one.top5}
    row |= {"macs": one.macs, "stored_macs": one.stored_macs}
    for size, latency in one.latencies.items():
        ms = {f"ms batch {size}{k}": v for k, v in _quartiles(latency.milliseconds).items()}
        ratios = {f"ratio batch {size}{k}": v for k, v in _quartiles(latency.ratio).items()}
        row |= {"threads": found.threads} | ms | ratios
    row |= {f"leave at exit {number}": share for number, share in enumerate(one.leaves, 1)}
    for name, shares in one.decisions.items():
        row |= {f"chosen {name}[{number}]": share for number, share in enumerate(shares)}
    row |= {f"held {name}": share for name, share in one.predicates.items()}
    row |= {f"ran {' and '.join(part.conditions)}": part.share for part in one.parts}
    names = found.names or [str(label) for label in range(len(one.classes))]
    return row | {f"top1 {name}": share for name, share in zip(names, one.classes, strict=True)}


def _quartiles(given: Timing | Ratio) -> dict[str, float]:
    return {"": given.mean, " low": given.low, " high": given.high}
