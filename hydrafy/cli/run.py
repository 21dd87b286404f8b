"""The verb `run`: classifies images with a file of any stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hydrafy.cli.options import as_json, assigned, emit, pixels, settings

if TYPE_CHECKING:
    from hydrafy.runtime.run import Prediction


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument(
    "images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE..."
)
@settings("A run-time input, for example tau=0.1")
@pixels
@as_json
def run(
    file: Path,
    images: tuple[Path, ...],
    assignments: tuple[str, ...],
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    plain: bool,
) -> None:
    """Name the five best classes of each IMAGE, where it left, and what was decided for it.

    An IMAGE is a picture, or a .npy array.
    """
    from hydrafy.runtime import run as runtime

    found = runtime.run(file, images, settings=assigned(assignments), mean=mean, std=std)
    click.echo(f"Normalisation of the pixels: {found.normalisation}.", err=True)
    if plain:
        emit([_entry(one, found.exits) for one in found.predictions])
        return
    from hydrafy.report import tables

    tables.show(tables.predictions(found))


def _entry(one: Prediction, exits: int | None) -> dict[str, object]:
    return {
        "path": one.path,
        "top": [
            {
                "class": top.label,
                "name": top.name,
                "probability": top.probability,
                "score": top.score,
            }
            for top in one.top
        ],
        "choices": one.choices,
        "left_at": one.left_at,
        "exits": exits,
    }
