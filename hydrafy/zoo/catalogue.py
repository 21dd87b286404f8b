"""Which source networks there are, by name: what the files of `families` bring."""

from __future__ import annotations

import heapq
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterable, Mapping

from hydrafy.errors import OptionError, nearest
from hydrafy.zoo import families
from hydrafy.zoo.design import Design

LONGEST = 60  # characters of a name


def names() -> tuple[str, ...]:
    """The names most used; a family knows every other depth and width of its kind, too."""
    return tuple(name for family in _families() for name in family.LISTED)


def find(name: str, options: Mapping[str, object]) -> Design:
    """The network of that name and with those options.

    Args:
        name: such as `resnet20`, `resnet50`, `wrn28_10`, `densenet100`. Where two families know
            a depth, it is of the one with fewer depths: `resnet50` is ImageNet's. A name such as
            `cifar_resnet50` says the family outright.
        options: fields of the family's design; numbers may be text.

    Raises:
        OptionError: no such network, no such option, or a value that makes no sense.
    """
    family, told = _told(name)
    return family.parse(name, told, options)


def options(name: str) -> dict[str, object]:
    """The options of a network, with their defaults.

    Raises:
        OptionError: no such network.
    """
    family, told = _told(name)
    return family.options(told)


def _told(name: str) -> tuple[type[Design], dict[str, int]]:
    """The family of a name, and the fields that the name tells."""
    matches = [(f, m) for f in _families() if (m := _match(f.PATTERN, name))]
    matches.sort(key=lambda match: len(match[0].DEPTHS))
    if not matches:
        raise OptionError(f"the zoo has no network {name!r}: {nearest(name, names())}")
    for family, match in matches:
        told = {field: int(text) for field, text in match.groupdict().items() if text}
        if not family.DEPTHS or told["depth"] in family.DEPTHS:
            return family, told
    raise OptionError(
        f"the zoo has no network {name!r} of that depth: the nearest are "
        + ", ".join(_near(matches[0][1], (d for family, _ in matches for d in family.DEPTHS)))
    )


def _match(pattern: str, name: str) -> re.Match[str] | None:
    """The match of a whole name; none of a name whose numbers are absurdly long."""
    return re.fullmatch(pattern, name, re.ASCII) if len(name) <= LONGEST else None


def _near(match: re.Match[str], depths: Iterable[int]) -> list[str]:
    """The name of a match with the two nearest depths in place of its own."""
    wanted, (start, end) = int(match["depth"]), match.span("depth")
    near = heapq.nsmallest(2, set(depths), key=lambda depth: abs(depth - wanted))
    return [f"{match.string[:start]}{depth}{match.string[end:]}" for depth in sorted(near)]


def _families() -> list[type[Design]]:
    """All families, by file."""
    return [
        member
        for file in pkgutil.iter_modules(families.__path__, f"{families.__name__}.")
        for member in vars(importlib.import_module(file.name)).values()
        if inspect.isclass(member) and issubclass(member, Design)
        if member.__module__ == file.name and not inspect.isabstract(member)
    ]
