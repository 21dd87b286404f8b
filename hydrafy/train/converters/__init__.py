"""How each op becomes torch: one file per family of ops, each with a dict from (domain, op)."""

import functools
import importlib
import pkgutil
from collections.abc import Mapping

from hydrafy.train import gates
from hydrafy.train.context import Converter


@functools.cache
def converters() -> Mapping[tuple[str, str], Converter]:
    """The converter of each (domain, op): the `CONVERTERS` of all files here and in train/gates."""
    found: dict[tuple[str, str], Converter] = {}
    for prefix, path in ((f"{__name__}.", __path__), (f"{gates.__name__}.", gates.__path__)):
        for file in pkgutil.iter_modules(path, prefix):
            found.update(importlib.import_module(file.name).CONVERTERS)
    return found
