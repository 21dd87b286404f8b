"""The verb `calibrate`: thresholds with the best accuracy that keep a budget."""

from __future__ import annotations

from pathlib import Path

import click

from hydrafy.cli.evaluate import picture
from hydrafy.cli.options import IMAGES, as_json, emit, existing, named, output, pixels
from hydrafy.cli.progress import progress
from hydrafy.errors import FileError


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--data", required=True, metavar="FOLDER|FILE|digits",
    help=f"{IMAGES}, those for testing; the network must not have been trained on them.",
)  # fmt: skip
@click.option(
    "--budget", type=float, metavar="SHARE",
    help="Of the MACs of the whole network, the mean over images: 0.5.",
)  # fmt: skip
@click.option(
    "--budget-ms", type=float, metavar="MS",
    help="Instead: milliseconds of an image at batch 1, lowered, measured on this machine.",
)  # fmt: skip
@output("FILE with `calibrated` before .onnx")
@picture("plot", "accuracy over the cost of an image")
@pixels
@as_json
def calibrate(
    file: Path,
    data: str,
    budget: float | None,
    budget_ms: float | None,
    target: Path | None,
    force: bool,
    plot: Path | None,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    plain: bool,
) -> None:
    """Choose the thresholds of exits and gates for a budget, and write them into the file.

    Calibrate a dynamic file, and lower it afterwards.
    """
    from hydrafy.ir.files import check_target, write
    from hydrafy.report import figure

    target = target or named(existing(file), "calibrated")
    check_target(target, force=force, source=file)
    if plot is not None:
        check_target(plot, force=force, source=file, option="--plot")
        if plot.absolute() == target.absolute():
            raise FileError(f"{plot} cannot hold two outputs: name two files")
        figure.check(plot)
    from hydrafy.runtime import calibrate as runtime

    with progress("calibrating", log=True) as tick:
        made = runtime.calibrate(
            file,
            data,
            budget=budget,
            budget_ms=budget_ms,
            mean=mean,
            std=std,
            say=lambda sentence: click.echo(sentence, err=True),
            progress=tick,
        )
    from hydrafy.report import calibration, tables, tradeoff

    made.program.save(target, force=force)
    if plot is not None:
        write(figure.content(tradeoff.tradeoff(made.found), plot), plot)
    if plain:
        emit({"output": target, "plot": plot, **vars(made.found)})
        return
    tables.show(calibration.calibration(made.found))
    outputs = [target, *([plot] if plot is not None else [])]
    tables.show("", *(f"wrote {one}" for one in outputs))
