"""What each exit says with and without the techniques that train it: table 2, as Markdown.

    python -m benchmarks.ablation FOLDER

FOLDER has what `benchmarks.results exits` told: a JSON file of `calibrate` for each technique and
seed. Where there are several seeds, their mean, and how far the farthest is from it; behind each,
what it is over training with none of the techniques and the same seeds, here and in the paper.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

PAPER = {
    "none": (60.09, 63.73, 67.89, 70.48, 71.81),
    "ge": (60.35, 64.38, 68.72, 70.65, 71.94),
    "isc": (60.19, 64.72, 68.07, 70.94, 73.28),
    "ofa": (60.39, 64.20, 68.10, 70.65, 71.85),
    "all": (60.78, 65.54, 69.98, 72.27, 73.45),
}
"""Top-1 in % on CIFAR-100 (Improved Techniques for Training Adaptive Deep Networks, table 2)."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
def main(folder: Path) -> None:
    """Print the rows of FOLDER's files."""
    runs = {technique: _runs(folder, technique) for technique in PAPER}
    runs = {technique: found for technique, found in runs.items() if found}
    if "none" not in runs:
        raise click.ClickException(f"{folder} has no msdnet.none0.json: run benchmarks.results")
    exits = range(len(runs["none"]["0"]))
    print("| techniques | seeds | MACs |", " | ".join(f"E-{place + 1}" for place in exits), "|")
    print("|---|---|---|" + "---|" * len(exits))
    for technique, of in runs.items():
        tops, paper = _tops(of), np.subtract(PAPER[technique], PAPER["none"])
        cells = [_told(own) for own in tops.T]
        if technique != "none":
            base = _tops({seed: runs["none"][seed] for seed in of})
            over = zip(cells, (tops - base).mean(0), paper, strict=True)
            cells = [f"{cell} ({ours:+.2f}; paper {theirs:+.2f})" for cell, ours, theirs in over]
        macs = f"{next(iter(of.values()))[-1]['cost'] / 1e6:.2f} M"
        print(f"| {technique} | {len(of)} | {macs} |", " | ".join(cells), "|")
    print("\nranks alike, of an exit and the one before it (Spearman):\n")
    for technique, of in runs.items():
        alike = [[run[place]["agreement"] for run in of.values()] for place in exits[1:-1]]
        print(f"- {technique}:", ", ".join(f"{np.mean(each):.3f}" for each in alike))


def _runs(folder: Path, technique: str) -> dict[str, list[dict[str, Any]]]:
    """What each exit of each run says, by the run's seed."""
    files = sorted(folder.glob(f"msdnet.{technique}[0-9].json"))
    return {file.stem[-1]: json.loads(file.read_text())["answers"] for file in files}


def _tops(runs: dict[str, list[dict[str, Any]]]) -> np.ndarray:
    """Top-1 in %, [runs, exits]."""
    return np.array([[one["top1"] * 100 for one in run] for run in runs.values()])


def _told(values: np.ndarray) -> str:
    mean = values.mean()
    spread = f" ± {np.abs(values - mean).max():.2f}" if len(values) > 1 else ""
    return f"{mean:.2f}{spread}"


if __name__ == "__main__":
    main()
