"""Schedules in TOML files: those of the papers, found by name, and a user's own."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from hydrafy.errors import FileError, OptionError, first_line, nearest
from hydrafy.train.schedule import Phase, Schedule

DEFAULT = "default"
ENDING = ".toml"


def names() -> tuple[str, ...]:
    """The names of all presets: the files of the folder `schedules`.

    HydraNets has none, since its paper tells nothing of how the networks were trained.
    """
    return tuple(sorted(f.name.removesuffix(ENDING) for f in _presets().iterdir()))


def find(name: str) -> Schedule:
    """The preset of that name, or the schedule in the file at that path.

    A file holds `source` (a text, which may be left out, as may `chosen`) and a table `[[phases]]`
    for each phase, whose keys are the attributes of `Phase`.

    Raises:
        OptionError: there is neither; the nearest preset is named. Or the file has an unknown key,
            lacks one, or has a value that makes no sense.
        FileError: the file cannot be read, or is no TOML.
    """
    if name in names():
        return _read(name, _presets() / f"{name}{ENDING}")
    if name.endswith(ENDING) or Path(name).is_file():
        return _read(name, Path(name))
    raise OptionError(f"there is no schedule {name!r}: {nearest(name, names())}")


def _presets() -> Traversable:
    return resources.files("hydrafy.train") / "schedules"


def _read(name: str, file: Traversable) -> Schedule:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"{name} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # no TOML, or no text at all
        raise FileError(f"{name} is no schedule in TOML: {first_line(error)}") from error
    _check_keys(f"schedule {name}", table, {"source": False, "chosen": False, "phases": True})
    if not isinstance(table["phases"], list):
        raise OptionError(f"schedule {name}: phases is no list: begin each phase with [[phases]]")
    phases = tuple(
        _phase(f"schedule {name}, phase {number}", values)
        for number, values in enumerate(table["phases"], 1)
    )
    return Schedule(name, str(table.get("source", "")), phases, str(table.get("chosen", "")))


def _phase(where: str, values: Any) -> Phase:
    if not isinstance(values, Mapping):
        raise OptionError(f"{where} is no table: begin each phase with [[phases]]")
    fields = {field.name: field for field in dataclasses.fields(Phase)}
    required = {n: f.default is dataclasses.MISSING for n, f in fields.items()}
    _check_keys(where, values, required)
    try:
        return Phase(**{n: _value(n, str(fields[n].type), v) for n, v in values.items()})
    except OptionError as error:
        raise OptionError(f"{where}: {error}") from error


def _check_keys(where: str, values: Mapping[str, Any], required: Mapping[str, bool]) -> None:
    for name in values:
        if name not in required:
            raise OptionError(f"{where} has no key {name!r}: {nearest(name, required)}")
    for name, needed in required.items():
        if needed and name not in values:
            raise OptionError(f"{where} lacks the key {name!r}: give it")


def _value(name: str, kind: str, value: Any) -> Any:
    """A value of TOML as what a field of `Phase` holds, whose annotation is `kind`."""
    fits, wanted = _KINDS[kind]
    if not fits(value):
        raise OptionError(f"{name} = {value!r} makes no sense: give {wanted}")
    if not isinstance(value, list):
        return value
    return tuple(tuple(item) if isinstance(item, list) else item for item in value)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, float) or _whole(value)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _pairs(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(map(_number, pair)) for pair in value
    )


_KINDS = {
    "int": (_whole, "a whole number"),
    "float": (_number, "a number"),
    "float | None": (_number, "a number"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "Optimiser": (_text, "a text"),
    "Decay": (_text, "a text"),
    "tuple[str, ...]": (_texts, 'a list of texts such as ["stem.*"]'),
    "tuple[Milestone, ...]": (_pairs, "pairs of epoch and factor such as [[80, 0.1], [140, 0.01]]"),
}
