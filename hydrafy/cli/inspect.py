"""The verbs `inspect` and `explain`: what a file holds, and how it came about."""

from __future__ import annotations

from pathlib import Path

import click

from hydrafy.cli.latency import kept
from hydrafy.cli.options import as_json, emit, shares


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--rate", "rates", multiple=True, metavar="PREDICATE=SHARE", callback=shares,
    help="How often a predicate of a dynamic file holds, 0 to 1, for the expected costs.",
)  # fmt: skip
@as_json
def inspect(file: Path, rates: dict[str, float], plain: bool) -> None:
    """Show parts, costs, and where a network can be split or what it can skip."""
    from hydrafy.runtime import inspect as runtime

    found = runtime.inspect(file, rates, kept())
    if plain:
        emit(found)
        return
    from hydrafy.report import tables
    from hydrafy.report.foresight import foresight
    from hydrafy.report.inspection import inspection

    tables.show(inspection(found))
    if found.foreseen is not None:
        tables.show(foresight(found.foreseen))


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@as_json
def explain(file: Path, plain: bool) -> None:
    """Show the journal: which pass changed what, where, and why not elsewhere."""
    from hydrafy.ir.program import Program

    journal = Program.load(file).manifest.journal
    if plain:
        emit(journal)
        return
    if not journal:
        click.echo("The journal is empty: hydrafy has not changed this file.")
        return
    from hydrafy.report import tables

    tables.show(tables.journal(journal))
