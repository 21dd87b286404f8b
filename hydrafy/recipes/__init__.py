"""The recipes, one file each, found by name."""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any

from hydrafy.errors import OptionError, nearest
from hydrafy.recipes.base import Recipe


def names() -> tuple[str, ...]:
    """The names of all recipes: the files of this package."""
    return tuple(m.name for m in pkgutil.iter_modules(__path__) if m.name != "base")


def find(name: str) -> type[Recipe]:
    """The recipe of that name.

    Raises:
        OptionError: there is none; the nearest one is named.
    """
    if name not in names():
        raise OptionError(f"there is no recipe {name!r}: {nearest(name, names())}")
    module = importlib.import_module(f"{__name__}.{name}")
    found: type[Recipe] = getattr(module, name.capitalize())
    return found


def parse(wanted: Sequence[str], given: Mapping[str, Any]) -> list[Recipe]:
    """Recipes by their names, with their options.

    An option may have the name of its recipe before it, `dynk.k`; it must, where several of the
    recipes have one of that name.

    Raises:
        OptionError: there is no such recipe or option, two recipes are the same, or a value makes
            no sense.
    """
    kinds = {name: find(name) for name in wanted}
    if len(kinds) < len(wanted):
        raise OptionError(f"recipe {max(wanted, key=wanted.count)} is named twice: name it once")
    options: dict[str, dict[str, Any]] = {name: {} for name in kinds}
    have = {name: {option.name for option in kind.options()} for name, kind in kinds.items()}
    for key, value in given.items():
        owner, dot, option = key.rpartition(".")
        if dot and not owner:
            raise OptionError(f"option {key} begins with a dot: write {option}")
        owners = [owner] if owner else [name for name in kinds if option in have[name]]
        if owner and owner not in kinds:
            raise OptionError(f"option {key}: no recipe {owner!r} is used: {nearest(owner, kinds)}")
        if len(owners) > 1:
            either = " or ".join(f"{name}.{option}" for name in owners)
            raise OptionError(f"option {option} is ambiguous: write {either}")
        if not owners and len(kinds) > 1:
            every = {option for names in have.values() for option in names}
            recipes = " and ".join(kinds)
            near = nearest(option, every)
            raise OptionError(f"neither of the recipes {recipes} has an option {option!r}: {near}")
        options[owners[0] if owners else next(iter(kinds))][option] = value
    return [kind.parse(options[name]) for name, kind in kinds.items()]
