"""The verb `evaluate`: files of any stage side by side on labelled images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from hydrafy.cli.options import (
    IMAGES,
    as_json,
    assigned,
    batch_sizes,
    emit,
    existing,
    pixels,
    settings,
)
from hydrafy.cli.progress import progress
from hydrafy.errors import FileError, OptionError

Command = TypeVar("Command", bound=Callable[..., Any])


def picture(name: str, what: str) -> Callable[[Command], Command]:
    """An option that names the file of a picture."""
    return click.option(
        f"--{name}", type=click.Path(path_type=Path), metavar="FILE.png|svg|pdf",
        help=f"Draw {what}; needs matplotlib.",
    )  # fmt: skip


@click.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..."
)
@click.option(
    "--data", required=True, metavar="FOLDER|FILE|digits",
    help=f"{IMAGES}, those for testing.",
)  # fmt: skip
@settings("A run-time input of the files that have it, for example tau=0.1")
@click.option(
    "--sweep", metavar="NAME=START:STOP:STEP",
    help="Let a run-time input take one value after the other, STOP included: tau=0:0.2:0.02.",
)  # fmt: skip
@click.option(
    "--gates", default="threshold", show_default=True, metavar="WAY,...",
    help="Ways to run gates that can be open by chance: threshold, always-on, stochastic=RUNS "
    "(mean and spread), ensemble=RUNS (mean prediction, all MACs and times).",
)  # fmt: skip
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of chance; each image has its own."
)
@click.option(
    "--batch", default="1,32", show_default=True, metavar="SIZE,...", help="Batch sizes to time at."
)
@click.option("--no-timing", is_flag=True, help="Measure no time.")
@click.option(
    "--threads", type=int, default=1, show_default=True,
    help="Of onnxruntime while it is timed; 0 lets it choose.",
)  # fmt: skip
@click.option("--limit", type=int, metavar="N", help="Take N images, drawn from all.")
@pixels
@click.option(
    "--csv", "sheet", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE|-",
    help="Write a row for each result as CSV; - prints it instead of tables.",
)  # fmt: skip
@picture("plot", "accuracy over MACs and over time")
@picture("heat", "how often predicates hold for each class")
@picture("rates", "how often gates chose in each epoch of training")
@click.option("--force", is_flag=True, help="Overwrite an existing output.")
@as_json
def evaluate(
    files: tuple[Path, ...],
    data: str,
    assignments: tuple[str, ...],
    sweep: str | None,
    gates: str,
    seed: int,
    batch: str,
    no_timing: bool,
    threads: int,
    limit: int | None,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    sheet: Path | None,
    plot: Path | None,
    heat: Path | None,
    rates: Path | None,
    force: bool,
    plain: bool,
) -> None:
    """Compare files on labelled images: accuracy, executed MACs, time, and what ran."""
    from hydrafy.ir.files import write
    from hydrafy.report import figure, tables
    from hydrafy.report.evaluation import evaluation
    from hydrafy.report.heat import heat as classes
    from hydrafy.report.plot import plot as accuracy
    from hydrafy.report.rates import rates as training
    from hydrafy.report.sheet import sheet as written
    from hydrafy.runtime import evaluate as runtime

    sizes = () if no_timing else batch_sizes(batch)
    printed = sheet is not None and str(sheet) == "-"
    if printed and plain:
        raise OptionError("--json and --csv - both print: give --csv a file")
    asked = (("--plot", plot, accuracy), ("--heat", heat, classes), ("--rates", rates, training))
    named = {"--csv": None if printed else sheet, **{option: target for option, target, _ in asked}}
    outputs = {option: target for option, target in named.items() if target is not None}
    pictures = [(target, draw) for _, target, draw in asked if target is not None]
    _check(outputs, [existing(file) for file in files], force)
    for target, _ in pictures:
        figure.check(target)
    with progress("evaluating", log=True) as tick:
        found = runtime.evaluate(
            files,
            data,
            settings=assigned(assignments),
            sweep=sweep,
            gates=gates,
            seed=seed,
            batches=sizes,
            threads=threads,
            limit=limit,
            mean=mean,
            std=std,
            say=lambda sentence: click.echo(sentence, err=True),
            progress=tick,
        )
    if printed:
        click.echo(written(found), nl=False)
    elif plain:
        emit(found)
    else:
        tables.show(evaluation(found))
    if sheet is not None and not printed:
        write(written(found).encode(), sheet)
    for target, draw in pictures:
        write(figure.content(draw(found), target), target)
    if not printed and not plain:
        tables.show(*(f"wrote {one}" for one in outputs.values()))


def _check(outputs: Mapping[str, Path], files: Sequence[Path], force: bool) -> None:
    """Refuses outputs, by option, that exist, or are the same file as another or as an input."""
    from hydrafy.ir.files import check_target

    for option, target in outputs.items():
        for file in files:
            check_target(target, force=force, source=file, option=option)
    targets = [target.absolute() for target in outputs.values()]
    for place, target in enumerate(outputs.values()):
        if target.absolute() in targets[:place]:
            raise FileError(f"{target} cannot hold two outputs: name two files")
