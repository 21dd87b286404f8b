"""The verb `prune`: layers and exits that hardly anything takes leave a file, as do idle gates."""

from __future__ import annotations

from pathlib import Path

import click

from hydrafy.cli.options import (
    IMAGES,
    as_json,
    assigned,
    emit,
    existing,
    named,
    output,
    pixels,
    settings,
)
from hydrafy.cli.progress import progress


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--data", required=True, metavar="FOLDER|FILE|digits",
    help=f"{IMAGES}, like those that the network is for; without labels no accuracy is measured.",
)  # fmt: skip
@output("FILE with `pruned` before .onnx")
@click.option(
    "--below", type=float, default=0.01, show_default=True, metavar="SHARE",
    help="What runs for this share of the images, or a smaller one, is removed; so is an exit at "
    "which so few leave.",
)  # fmt: skip
@click.option(
    "--above", type=float, default=0.99, show_default=True, metavar="SHARE",
    help="What runs for this share, or a larger one, runs always: its gate is removed. An exit at "
    "which so many leave is the end.",
)  # fmt: skip
@settings("A run-time input at which that is measured, for example tau=0.5")
@click.option("--limit", type=int, metavar="N", help="Take N images, drawn from all.")
@pixels
@as_json
def prune(
    file: Path,
    data: str,
    target: Path | None,
    force: bool,
    below: float,
    above: float,
    assignments: tuple[str, ...],
    limit: int | None,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    plain: bool,
) -> None:
    """Remove layers that hardly ever run, and gates that hardly ever close, as images show."""
    from hydrafy.ir.files import check_target

    target = target or named(existing(file), "pruned")
    check_target(target, force=force, source=file)
    from hydrafy.runtime import prune as runtime

    with progress("pruning", log=True) as tick:
        found = runtime.prune(
            file,
            data,
            below=below,
            above=above,
            settings=assigned(assignments),
            limit=limit,
            mean=mean,
            std=std,
            say=lambda sentence: click.echo(sentence, err=True),
            progress=lambda what, n, of: tick(f"{what}: {n} of {of} images", n, of),
        )
    found.program.save(target, force=force)
    if plain:
        counts = {"images": found.images, "damaged": found.damaged, "agreement": found.agreement}
        parts = {"layers": found.layers, "exits": found.exits}
        forms = {"before": found.before, "after": found.after}
        emit({"output": target, "stage": found.program.stage, **counts, **parts, **forms})
        return
    from hydrafy.report import pruning, tables

    tables.show(pruning.pruning(found))
    click.echo(f"\nwrote {target}")
