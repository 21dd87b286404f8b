"""The verb `zoo`: writes a source network with random weights, for trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hydrafy.cli.options import as_json, assigned, emit, output, settings
from hydrafy.cli.progress import progress


@click.command()
@click.argument("name", required=False)
@settings("An option of the network, for example classes=100")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random weights.")
@click.option(
    "--exporter", default="torchscript", show_default=True, metavar="torchscript|dynamo",
    help="Which exporter of torch.onnx writes the file.",
)  # fmt: skip
@click.option("--fold", is_flag=True, help="Let the exporter fold BatchNorm into convolutions.")
@output("NAME.onnx")
@as_json
def zoo(
    name: str | None,
    assignments: tuple[str, ...],
    seed: int,
    exporter: Any,
    fold: bool,
    target: Path | None,
    force: bool,
    plain: bool,
) -> None:
    """Write the source network NAME as ONNX, or list the networks there are."""
    from hydrafy.ir.files import check_target

    if name is None:
        _list(plain)
        return
    target = target or Path(f"{name}.onnx")
    check_target(target, force=force)
    with progress(f"building {name}"):
        from hydrafy import zoo as networks

        options: dict[str, Any] = assigned(assignments)
        design = networks.find(name, options)
        networks.export(
            name, target, seed=seed, exporter=exporter, fold=fold, force=force, **options
        )
    if plain:
        emit({"output": target, "name": name, "seed": seed, "options": design})
    else:
        click.echo(f"wrote {target}")


def _list(plain: bool) -> None:
    from hydrafy import zoo as networks

    found = [{"name": name, "options": networks.options(name)} for name in networks.names()]
    if plain:
        emit(found)
        return
    from hydrafy.report import tables

    rows = ((str(one["name"]), _words(one["options"])) for one in found)
    tables.show(tables.table(("network", "options and their defaults"), rows))
    click.echo("\nEvery other depth, width and growth that these names can tell is known, too.")


def _words(options: Any) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items())
