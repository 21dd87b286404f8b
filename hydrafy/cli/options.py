"""Options that several verbs have, and what their words mean."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from hydrafy.errors import FileError, OptionError
from hydrafy.ir.jsonable import jsonable

Command = TypeVar("Command", bound=Callable[..., Any])


def as_json(command: Command) -> Command:
    """`--json`: results as JSON on standard output, and nothing else there."""
    flag = click.option("--json", "plain", is_flag=True, help="Print JSON instead of tables.")
    return flag(command)


IMAGES = (
    "A folder of one folder for each class, an .npz file of arrays x (images) and y (labels), "
    "parquet files, WebDataset shards, a Hugging Face dataset (hf:NAME), or scikit-learn's digits"
)
"""What `--data` takes."""


def output(default: str) -> Callable[[Command], Command]:
    """`--output` and `--force`; `default` says what is written where no output is named."""

    def decorate(command: Command) -> Command:
        force = click.option("--force", is_flag=True, help="Overwrite an existing output.")
        path = click.option(
            "-o", "--output", "target", type=click.Path(path_type=Path), metavar="FILE",
            help=f"Where to write; {default} by default.",
        )  # fmt: skip
        return path(force(command))

    return decorate


def settings(what: str) -> Callable[[Command], Command]:
    """`--set NAME=VALUE`, any number of times."""
    return click.option(
        "--set", "assignments", multiple=True, metavar="NAME=VALUE", help=f"{what}; repeatable."
    )


def numbers(ctx: click.Context, param: click.Parameter, value: Any) -> tuple[float, ...] | None:
    """Numbers with commas between, `0.5,0.5,0.5`; a click callback."""
    try:
        return None if value is None else tuple(float(word) for word in value.split(","))
    except ValueError as error:
        text = f"{value!r} is no list of numbers such as 0.5,0.5,0.5"
        raise click.BadParameter(text, ctx, param) from error


def shares(ctx: click.Context, param: click.Parameter, value: Any) -> dict[str, float]:
    """Named numbers, `picked=0.25` each; a click callback."""
    found = {}
    for word in value:
        name, _, number = word.rpartition("=")
        try:
            found[name] = float(number)
        except ValueError as error:
            text = f"{word!r} is no name with a number such as branches.0.picked=0.25"
            raise click.BadParameter(text, ctx, param) from error
    return found


def pixels(command: Command) -> Command:
    """`--mean` and `--std`."""
    for name, default in (("std", "1"), ("mean", "0")):
        command = click.option(
            f"--{name}", callback=numbers, metavar="A,B,C",
            help=f"Of pixels scaled to 0..1, where the file records none; {default} if only the "
            "other is given.",
        )(command)  # fmt: skip
    return command


def assigned(words: Iterable[str]) -> dict[str, str]:
    """The values of `--set`, by name.

    Raises:
        OptionError: a word has no `=`.
    """
    values = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name.strip():
            raise OptionError(f"--set {word} makes no sense: write --set NAME=VALUE")
        values[name.strip()] = value.strip()
    return values


def batch_sizes(text: str) -> tuple[int, ...]:
    """The batch sizes of `1,32`, each once.

    Raises:
        OptionError: the text is something else.
    """
    try:
        return tuple(dict.fromkeys(int(word) for word in text.split(",")))
    except ValueError as error:
        raise OptionError(
            f"--batch {text} makes no sense: write batch sizes with commas between, as 1,32"
        ) from error


def named(file: Path, ending: str) -> Path:
    """The default output: beside `file`, with `ending` before `.onnx`."""
    return file.with_name(f"{file.name.removesuffix('.onnx')}.{ending}.onnx")


def existing(file: Path) -> Path:
    """The path of an input file that is there.

    Raises:
        FileError: it is not, or it is a folder.
    """
    if file.is_dir():
        raise FileError(f"{file} is a folder: name the file in it")
    if not file.exists():
        raise FileError(f"there is no file {file}")
    return file


def emit(result: Any) -> None:
    """Prints a result as JSON; dataclasses become objects."""
    click.echo(json.dumps(jsonable(result), indent=2, default=str, allow_nan=False))
