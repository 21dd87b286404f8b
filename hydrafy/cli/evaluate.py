"""The verb `evaluate`: files of any stage side by side on labelled images."""

from __future__ import annotations

from pathlib import Path

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
    help="Write everything as CSV; - prints it instead of tables.",
)  # fmt: skip
@click.option(
    "--plot", "picture", type=click.Path(path_type=Path), metavar="FILE.png|svg|pdf",
    help="Draw accuracy over MACs and over time; needs matplotlib.",
)  # fmt: skip
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
    picture: Path | None,
    force: bool,
    plain: bool,
) -> None:
    """Compare files on labelled images: accuracy, executed MACs, time, and what ran."""
    from hydrafy.ir.files import write
    from hydrafy.report import plot, tables
    from hydrafy.report.evaluation import evaluation
    from hydrafy.report.sheet import sheet as written
    from hydrafy.runtime import evaluate as runtime

    sizes = () if no_timing else batch_sizes(batch)
    printed = sheet is not None and str(sheet) == "-"
    if printed and plain:
        raise OptionError("--json and --csv - both print: give --csv a file")
    outputs = [one for one in (None if printed else sheet, picture) if one is not None]
    _check(outputs, [existing(file) for file in files], force)
    if picture is not None:
        plot.check(picture)
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
    if sheet is not None and not printed:
        write(written(found).encode(), sheet)
    if picture is not None:
        write(plot.plot(found, picture.suffix[1:].lower()), picture)
    if printed:
        click.echo(written(found), nl=False)
    elif plain:
        emit(found)
    else:
        tables.show(evaluation(found), *(f"wrote {one}" for one in outputs))


def _check(outputs: list[Path], files: list[Path], force: bool) -> None:
    """Refuses outputs that exist, or are the same file as another or as an input."""
    from hydrafy.ir.files import check_target

    for target in outputs:
        for file in files:
            check_target(target, force=force, source=file)
    if len({one.absolute() for one in outputs}) < len(outputs):
        raise FileError(f"{outputs[0]} cannot be both the CSV and the plot: name two files")
