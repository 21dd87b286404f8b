"""The recipes, one file each, found by name."""

import importlib
import pkgutil

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
