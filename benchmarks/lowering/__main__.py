"""Measures lowered networks against static ones that do the same work.

python -m benchmarks.lowering [--case CASE] [--network NAME] [--images N] [--repeats R] [--json]
"""

import argparse
import dataclasses
import json
from collections.abc import Callable

import onnxruntime
from rich.console import Console
from rich.table import Table

from benchmarks.branches import processor
from benchmarks.lowering.blocks import half, opened, skipped
from benchmarks.lowering.branches import branches
from benchmarks.lowering.contest import Row, Settings
from benchmarks.lowering.costs import lowering, memory, start
from benchmarks.lowering.exits import budgets, exits, mixed_exits
from benchmarks.lowering.mixed import mixed, mixed_branches

Case = Callable[[str, Settings], list[Row]]

CASES: dict[str, tuple[Case, tuple[str, ...]]] = {
    "open": (opened, ("resnet20", "resnet50")),
    "skipped": (skipped, ("resnet20", "resnet50")),
    "exits": (exits, ("resnet20", "resnet56", "resnet50")),
    "mixed-exits": (mixed_exits, ("resnet20", "resnet56", "resnet50")),
    "budgets": (budgets, ("resnet20", "resnet56")),
    "branches": (branches, ("hydra-res-d1", "resnet50")),
    "mixed": (mixed, ("resnet20", "resnet56")),
    "mixed-branches": (mixed_branches, ("hydra-res-d1", "resnet50")),
    "half": (half, ("resnet56",)),
    "memory": (memory, ("resnet20", "resnet50")),
    "start": (start, ("resnet20", "resnet50")),
    "lowering": (lowering, ("resnet101",)),
}


def main() -> None:
    """Runs cases and prints a table of each, or JSON of all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--case", action="append", choices=CASES, help="all if none is named")
    parser.add_argument("--network", action="append", help="instead of those of the case")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    how, rows = Settings(given.images, given.repeats), []
    for case in given.case or CASES:
        run, networks = CASES[case]
        for name in given.network or networks:
            found = run(name, how)
            rows += found
            if not given.json:
                _show(found)
    about = {"threads": 1, "onnxruntime": onnxruntime.__version__, "processor": processor()}
    if given.json:
        print(json.dumps({**about, "rows": [dataclasses.asdict(row) for row in rows]}))
    else:
        Console().print(", ".join(f"{k} {v}" for k, v in about.items()))


def _show(rows: list[Row]) -> None:
    table = Table("case", "form", "ratio", "quartiles", "target", "times")
    for row in rows:
        middle, low, high = row.found
        aim = "" if row.target is None else f"{row.target:.2f}"
        if row.target is not None and middle > row.target:
            aim += ", missed"
        spread = f"{low:.3f} to {high:.3f}" if low < high else ""
        table.add_row(row.case, row.form, f"{middle:.3f}", spread, aim, row.times)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
