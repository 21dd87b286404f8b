"""The verb `demo`: the whole road on handwritten digits, and one table."""

from __future__ import annotations

from pathlib import Path

import click

from hydrafy.cli.app import STOPPED
from hydrafy.cli.options import as_json, emit
from hydrafy.cli.progress import progress


@click.command()
@click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path), default=Path("hydrafy-demo"),
    show_default=True, metavar="FOLDER", help="Where to leave the files.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite the files of an earlier demo.")
@as_json
def demo(folder: Path, force: bool, plain: bool) -> int:
    """Train a small network on handwritten digits, make it dynamic, and compare the two.

    Takes about a minute or two.
    """
    from hydrafy.runtime import demo as runtime

    try:
        with progress("demo", log=True) as tick:
            found = runtime.demo(folder, tick, force=force)
    except KeyboardInterrupt:
        if not folder.exists():
            raise
        click.echo(f"Stopped by Ctrl-C; what was made until then is in {folder}.", err=True)
        return STOPPED
    if plain:
        emit(found)
        return 0
    from hydrafy.report import tables

    tables.show(tables.comparison(found))
    click.echo(f"\nIn {found.seconds:.0f} s; the files are in {folder}.")
    return 0
