"""The verb `recalibrate`: statistics of BatchNormalizations taken again, from images."""

from __future__ import annotations

from pathlib import Path

import click

from hydrafy.cli.options import as_json, emit, existing, named, output, pixels
from hydrafy.cli.progress import progress


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--data", required=True, metavar="FOLDER|FILE|digits",
    help="What the network was trained on; labels do not matter.",
)  # fmt: skip
@output("FILE with `recalibrated` before .onnx")
@click.option("--batches", type=int, default=200, show_default=True, help="How many, at most.")
@click.option("--batch-size", type=int, default=256, show_default=True, help="Images in each.")
@click.option(
    "--augment", multiple=True, metavar="NAME",
    help="As in training, for it changes statistics: crop, flip ...; repeatable.",
)  # fmt: skip
@pixels
@as_json
def recalibrate(
    file: Path,
    data: str,
    target: Path | None,
    force: bool,
    batches: int,
    batch_size: int,
    augment: tuple[str, ...],
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    plain: bool,
) -> None:
    """Take the statistics of all BatchNormalizations again; weights stay as they are."""
    from hydrafy.ir.files import check_target

    target = target or named(existing(file), "recalibrated")
    check_target(target, force=force, source=file)
    from hydrafy.runtime import recalibrate as runtime

    with progress("recalibrating", log=True) as tick:
        found = runtime.recalibrate(
            file,
            data,
            batches=batches,
            batch_size=batch_size,
            augment=tuple(word for one in augment for word in one.split(",")),
            mean=mean,
            std=std,
            say=lambda sentence: click.echo(sentence, err=True),
            progress=lambda n, of: tick(f"recalibrating: {n} of {of} images", n, of),
        )
    found.program.save(target, force=force)
    if plain:
        counts = {"images": found.images, "damaged": found.damaged}
        emit({"output": target, **counts, "layers": found.drifts})
        return
    from hydrafy.report import recalibration, tables

    tables.show(recalibration.recalibration(found))
    click.echo(f"\nwrote {target}")
