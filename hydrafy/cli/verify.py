"""The verb `verify`: whether two files of one network compute the same."""

from __future__ import annotations

from pathlib import Path

import click

from hydrafy.cli.options import as_json, emit, existing
from hydrafy.cli.progress import progress


@click.command()
@click.argument("one", type=click.Path(path_type=Path), metavar="A")
@click.argument("two", type=click.Path(path_type=Path), metavar="B")
@click.option(
    "--data", metavar="FOLDER|FILE.npz|digits",
    help="Images to compare on, besides noise; labels do not matter.",
)  # fmt: skip
@click.option("--limit", type=int, default=256, show_default=True, help="Images, at most.")
@click.option(
    "--tolerance", type=float, metavar="X",
    help="How much an output may differ, as a share of its scale; by default 0.0001, and more "
    "where numbers are float16 or bytes.",
)  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of the noise.")
@as_json
def verify(
    one: Path,
    two: Path,
    data: str | None,
    limit: int,
    tolerance: float | None,
    seed: int,
    plain: bool,
) -> None:
    """Compare two files of one network: static, dynamic or lowered, in any order.

    Every predicate is led both ways, for single images and for batches. Where the files differ,
    the exit code is 1, and the first output that differs is named with the region it comes from.
    """
    from hydrafy.runtime.verify.files import verify_files

    files = existing(one), existing(two)
    with progress("verifying") as tick:
        tick(f"comparing {one} and {two}", 0, 0)
        found = verify_files(*files, data=data, limit=limit, tolerance=tolerance, seed=seed)
    if plain:
        emit(found)
        return
    from hydrafy.report import tables, verification

    tables.show(verification.compared(found))
