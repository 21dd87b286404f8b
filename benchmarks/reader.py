"""What hydrafy reads: source by exporter by recipe, each read, converted, compared and lowered.

A row is one file. "read" is the largest difference of the program from what the file computes: in
the framework that wrote it where that is known, else in onnxruntime. "preserved" is that of a
conversion at full width from its source, "lowered" that of the lowered file from the dense one, at
the recipe's narrow defaults, over probes that force every decision both ways. All are shares of the
output's scale. Run as

    python -m benchmarks.reader                # the zoo at small sizes, and tests/exports
    python -m benchmarks.reader --only keras   # rows that contain a word
    python -m benchmarks.reader --markdown     # for docs/reader.md; or --json
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from hydrafy import recipes, zoo
from hydrafy.analysis.anatomy import anatomy
from hydrafy.errors import HydrafyError
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.runtime.convert import convert, report
from hydrafy.runtime.lower import lower_program
from hydrafy.runtime.read import read
from hydrafy.zoo.export import Exporter

EXPORTS = Path(__file__).parents[1] / "tests" / "exports"

NETWORKS: dict[str, dict[str, Any]] = {
    "resnet20": {},
    "resnet20 (type B)": {"shortcut": "B"},
    "preact_resnet20": {},
    "preact_resnet29": {"block": "bottleneck"},
    "wrn16_4": {},
    "resnext29": {"cardinality": 4, "base_width": 8},
    "densenet40": {"growth": 6},
    "densenet100": {"growth": 6},
    "resnet18": {"size": 64, "classes": 20},
    "resnet50": {"size": 64, "classes": 20},
    "resnext50": {"size": 64, "classes": 20},
    "ressep": {"size": 64, "classes": 20},
    "densenet121": {"size": 64, "classes": 20},
}
EXPORTERS: dict[str, tuple[Exporter, dict[str, Any]]] = {
    "torchscript": ("torchscript", {}),
    "torchscript, opset 11": ("torchscript", {"opset": 11}),
    "torchscript, folded": ("torchscript", {"fold": True}),
    "torchscript, batch 1": ("torchscript", {"dynamic_batch": False}),
    "dynamo, kept": ("dynamo", {}),
    "dynamo": ("dynamo", {"fold": True}),
}
FULL = {"branches": 2, "k": 2, "branch_width": 1.0}


@dataclass(frozen=True)
class Case:
    """A file, who wrote it, and images with what the framework made of them, where known."""

    source: str
    exporter: str
    file: Path
    known: tuple[np.ndarray, np.ndarray] | None = None


@dataclass(frozen=True)
class Row:
    """What became of a case; differences are shares of the output's scale."""

    source: str
    exporter: str
    stages: str
    read: float | None = None
    recipe: str = ""
    preserved: float | None = None
    lowered: float | None = None
    refused: str = ""


def main(arguments: list[str]) -> None:
    """Prints a table of all cases, or JSON, or Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", default="", metavar="WORD")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        shown = track(list(cases(Path(folder), given.only)), console=Console(stderr=True))
        rows = [row for case in shown for row in measure(case)]
    if given.json:
        print(json.dumps([asdict(row) for row in rows]))
    elif given.markdown:
        _markdown(rows)
    else:
        _print(rows)


def cases(folder: Path, only: str) -> Iterator[Case]:
    """The zoo's networks by each exporter, and what other frameworks wrote."""
    for network, options in NETWORKS.items():
        for exporter, (kind, how) in EXPORTERS.items():
            if only in f"{network} {exporter}":
                file = folder / f"{network} {exporter}.onnx"
                name = network.partition(" ")[0]
                zoo.export(name, file, seed=0, exporter=kind, **{**how, **options})
                yield Case(network, exporter, file)
    for file in sorted(EXPORTS.glob("*.onnx")):
        framework, _, network = file.stem.partition("_")
        if only in file.stem:
            with np.load(file.with_suffix(".npz")) as arrays:
                yield Case(network, framework, file, (arrays["x"], arrays["y"]))


def measure(case: Case) -> Iterator[Row]:
    """A row for each recipe, or one that says why the file cannot be read."""
    try:
        program = read(case.file)
        stages = "-".join(str(len(stage.blocks)) for stage in anatomy(program).stages)
    except HydrafyError as error:
        yield Row(case.source, case.exporter, "", refused=str(error))
        return
    difference = _difference(program, case)
    for name in recipes.names():
        try:
            defaults = convert(program, name, **_fitting(program, name))
            full = convert(program, name, **FULL)
            lowered = lower_program(defaults)[1].worst
        except HydrafyError as error:
            yield Row(case.source, case.exporter, stages, difference, name, refused=str(error))
            continue
        preserved = report(program, full).divergence
        yield Row(case.source, case.exporter, stages, difference, name, preserved, lowered)


def _fitting(program: Program, recipe: str) -> dict[str, Any]:
    """The recipe's defaults, as far as the network allows them."""
    chosen = recipes.find(recipe).fitted(program)
    return {option.name: getattr(chosen, option.name) for option in chosen.options()}


def _difference(program: Program, case: Case) -> float:
    (source,) = program.data_inputs
    if case.known is None:
        session = Session(case.file)
        batch = next(iter(session.inputs.values()))[0]
        count = batch if isinstance(batch, int) else 4
        rng = np.random.default_rng(0)
        x = rng.standard_normal((count, *dims(source))).astype(np.float32)
        wanted = next(iter(session.run({next(iter(session.inputs)): x}).values()))
    else:
        x, wanted = case.known
    found = next(iter(Session(program).run({source.name or "": x}).values()))
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


HEADINGS = ("source", "exporter", "stages", "read", "recipe", "preserved", "lowered")


def _cells(row: Row) -> list[str]:
    numbers = [row.read, row.preserved, row.lowered]
    read, *rest = ["-" if number is None else f"{number:.0e}" for number in numbers]
    ends = [row.refused, ""] if row.refused else rest
    return [row.source, row.exporter, row.stages, read, row.recipe, *ends]


def _print(rows: list[Row]) -> None:
    table = Table(*HEADINGS)
    for row in rows:
        table.add_row(*_cells(row))
    Console().print(table)


def _markdown(rows: list[Row]) -> None:
    print("| " + " | ".join(HEADINGS) + " |")
    print("|" + "---|" * len(HEADINGS))
    for row in rows:
        print("| " + " | ".join(_cells(row)) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
