"""What each exit says with and without the techniques that train it: table 2, as Markdown.

    python -m benchmarks.ablation FOLDER

FOLDER has what `benchmarks.results exits` told: a JSON file of `calibrate` for each technique and
seed. Where there are several seeds, their mean, and how far the farthest is from it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import click
import numpy as np


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
def main(folder: Path) -> None:
    """Print the rows of FOLDER's files."""
    runs: dict[str, list[list[dict[str, Any]]]] = defaultdict(list)
    for file in sorted(folder.glob("msdnet.*.json")):
        technique = file.name.split(".")[1].rstrip("0123456789")
        runs[technique].append(json.loads(file.read_text())["answers"])
    first = next(iter(runs.values()))[0]
    macs = [f"{one['cost'] / 1e6:.2f} M" for one in first]
    print("| technique | seeds |", " | ".join(f"E-{n}" for n in range(1, len(first) + 1)), "|")
    print("|---|---|" + "---|" * len(first))
    print("| MACs | |", " | ".join(macs), "|")
    for technique, answers in runs.items():
        tops = [_told([run[place]["top1"] * 100 for run in answers]) for place in range(len(first))]
        print(f"| {technique} | {len(answers)} |", " | ".join(tops), "|")
    print("\nranks alike, of an exit and the one before it:\n")
    for technique, answers in runs.items():
        alike = [[run[place]["agreement"] for run in answers] for place in range(1, len(first) - 1)]
        print(f"- {technique}:", ", ".join(f"{np.mean(each):.3f}" for each in alike))


def _told(values: list[float]) -> str:
    mean = float(np.mean(values))
    spread = max(abs(value - mean) for value in values)
    return f"{mean:.2f}" + (f" ± {spread:.2f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
