"""How well the latency model foresees networks that it was not fitted on.

It is fitted on networks of the zoo and asked for others: other widths, depths, sizes and families.

    python -m benchmarks.latency
"""

import json
import sys
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from hydrafy.runtime.bench.fit import SAMPLES, Sample, fit, measure

HELD_OUT = (
    Sample("resnet32", (("width", 24),)),
    Sample("resnet56", (("shortcut", "B"),)),
    Sample("resnet110"),
    Sample("resnet14", (("width", 96),)),
    Sample("resnet32", (("width", 32),), bypassed=True),
    Sample("preact_resnet29", (("block", "bottleneck"),)),
    Sample("wrn16_4"),
    Sample("densenet40"),
    Sample("resnext29_4x32d"),
    Sample("resnet34", (("size", 224),), (1, 4)),
    Sample("resnet101", (("size", 160),), (1, 4)),
    Sample("densenet121", (("size", 128),), (1, 4)),
)


def main(arguments: list[str]) -> None:
    """Fits, foresees and measures, and prints a table, or JSON."""
    model = fit(progress=lambda what, done, of: print(f"{what}: {done} of {of}", file=sys.stderr))
    rows = [row for one in (*SAMPLES, *HELD_OUT) for row in _rows(model, one)]
    errors = {
        which: [abs(row["foreseen"] / row["measured"] - 1) for row in rows if row["held"] is held]
        for which, held in (("fitted on", False), ("held out", True))
    }
    told = {k: {"median": float(np.median(v)), "worst": max(v)} for k, v in errors.items()}
    if "--json" in arguments:
        print(json.dumps({"rows": rows, "errors": told, "model": json.loads(model.to_json())}))
        return
    table = Table("network", "batch", "measured, ms", "foreseen, ms", "error", "")
    for row in rows:
        times = (f"{row['measured']:.2f}", f"{row['foreseen']:.2f}")
        error = f"{(row['foreseen'] / row['measured'] - 1) * 100:+.0f} %"
        held = "held out" if row["held"] else ""
        table.add_row(row["network"], str(row["batch"]), *times, error, held)
    console = Console(width=100)
    console.print(table)
    for which, error in told.items():
        console.print(
            f"{which}: median error {error['median']:.1%}, worst {error['worst']:.1%} "
            f"({len(errors[which])} cases)"
        )
    console.print(model.to_json())


def _rows(model: Any, sample: Sample) -> list[dict[str, Any]]:
    program = sample.program()
    name = " ".join([sample.name, *(f"{k}={v}" for k, v in sample.options)])
    return [
        {
            "network": f"{name}, gated" if sample.bypassed else name,
            "batch": batch,
            "measured": measure(program, batch).milliseconds,
            "foreseen": model.predict(program, batch=batch),
            "held": sample in HELD_OUT,
        }
        for batch in sample.batches
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
