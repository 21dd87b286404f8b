"""The verbs `convert` and `recipes`: static networks become dynamic, by a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hydrafy.cli.latency import kept
from hydrafy.cli.options import as_json, assigned, emit, existing, named, output, pixels, settings
from hydrafy.cli.progress import progress
from hydrafy.errors import FileError, OptionError


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--recipe", "names", required=True, multiple=True, metavar="NAME",
    help="As `hydrafy recipes` lists them; repeatable: each changes what the one before left.",
)  # fmt: skip
@settings("An option of the recipe, for example k=4; of several, dynk.k=4")
@click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE.toml",
    help="Options of the recipe, at the top or in a table of its name; --set wins.",
)  # fmt: skip
@click.option(
    "--data", "examples", metavar="FOLDER|FILE.npz|digits",
    help="Group classes by the mean features of these images, instead of the classifier's rows: a "
    "folder of one folder for each class, arrays x and y, or scikit-learn's digits.",
)  # fmt: skip
@click.option(
    "--restore-batchnorm", "calibration", metavar="FOLDER|FILE.npz|digits",
    help="Give back the BatchNormalizations that were folded into convolutions, with the "
    "statistics of these images.",
)  # fmt: skip
@pixels
@output("SOURCE with the recipe's name before .onnx")
@as_json
def convert(
    source: Path,
    names: tuple[str, ...],
    assignments: tuple[str, ...],
    config: Path | None,
    examples: str | None,
    calibration: str | None,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
    target: Path | None,
    force: bool,
    plain: bool,
) -> None:
    """Make a static network dynamic: SOURCE is an ONNX file, or `timm:NAME`."""
    from hydrafy import recipes as known
    from hydrafy.ir.files import check_target
    from hydrafy.runtime import convert as conversion
    from hydrafy.runtime.pretrained import static, timm_name

    options = {**(_configured(config, names) if config else {}), **assigned(assignments)}
    known.parse(names, options)
    name = timm_name(source)
    file = existing(source) if name is None else Path(name.rpartition("/")[2])
    target = target or named(file, "+".join(names))
    check_target(target, force=force, source=source)
    measures = examples is not None or calibration is not None
    with progress(f"reading {source}", log=measures) as tick, static(source) as network:
        made = conversion.convert(
            network,
            names,
            data=examples,
            restore_batchnorm=calibration,
            mean=mean,
            std=std,
            watch=lambda item, _: tick(f"convert: {item.name}", 0, 0),
            say=lambda sentence: click.echo(sentence, err=True),
            progress=lambda what, n, of: tick(f"{what}: {n} of {of} images", n, of),
            **options,
        )
        tick("comparing with the source", 0, 0)
        read_from = source if name is None else None
        report = conversion.report(network, made, file=read_from, latency=kept())
        made.save(target, force=force)
    for warning in report.warnings:
        click.echo(f"Warning: {warning}", err=True)
    if plain:
        emit({"output": target, "options": made.manifest.options, **vars(report)})
        return
    from hydrafy.report import tables
    from hydrafy.report.foresight import foresight

    tables.show(tables.conversion(report, made.manifest.options))
    if report.foreseen is not None:
        tables.show(foresight(report.foreseen))
    click.echo(f"\nwrote {target}")


def _configured(file: Path, recipes: tuple[str, ...]) -> dict[str, Any]:
    """The options in a TOML file: those at its top, then those in the recipes' own tables."""
    import tomllib

    try:
        content = tomllib.loads(existing(file).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"{file} is not TOML: {error}") from error
    except OSError as error:
        raise FileError(f"{file} cannot be read: {error.strerror}") from error
    tables = {recipe: content.pop(recipe, {}) for recipe in recipes}
    for recipe, table in tables.items():
        if not isinstance(table, dict):
            raise OptionError(
                f"{recipe} in {file} must be a table: write [{recipe}] above its options"
            )
    own = {f"{recipe}.{name}": v for recipe, table in tables.items() for name, v in table.items()}
    return {**content, **own}


@click.command()
@click.argument("name", required=False)
@as_json
def recipes(name: str | None, plain: bool) -> None:
    """List the recipes, or the options of one."""
    from hydrafy import recipes as known
    from hydrafy.report import tables

    if name is None:
        found = [(n, _summary(n), known.find(n).source) for n in known.names()]
        if plain:
            emit([dict(zip(("name", "summary", "source"), one, strict=True)) for one in found])
        else:
            tables.show(tables.recipes(found))
        return
    recipe = known.find(name)
    if plain:
        emit(
            {"name": name, "source": recipe.source, "options": [vars(o) for o in recipe.options()]}
        )
    else:
        tables.show(f"{name}: {_summary(name)}. Source: {recipe.source}.\n")
        tables.show(tables.options(recipe.options()))


def _summary(name: str) -> str:
    """The first sentence of the recipe's file."""
    import sys

    from hydrafy import recipes as known

    text = sys.modules[known.find(name).__module__].__doc__ or ""
    return text.strip().splitlines()[0].removesuffix(".") if text.strip() else ""
