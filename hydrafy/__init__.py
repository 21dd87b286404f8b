"""The public face: every name that users need, loaded only when it is asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hydrafy.ir.program import Program
    from hydrafy.runtime.calibrate import calibrate
    from hydrafy.runtime.convert import convert
    from hydrafy.runtime.evaluate import evaluate
    from hydrafy.runtime.finetune import finetune
    from hydrafy.runtime.lower import lower
    from hydrafy.runtime.prune import prune
    from hydrafy.runtime.read import read
    from hydrafy.train.exporter import from_torch
    from hydrafy.train.importer import to_torch

    load = Program.load
    __version__: str

__all__ = [
    "Program",
    "__version__",
    "calibrate",
    "convert",
    "evaluate",
    "finetune",
    "from_torch",
    "load",
    "lower",
    "prune",
    "read",
    "to_torch",
]

_HOMES = {
    "Program": "hydrafy.ir.program",
    "calibrate": "hydrafy.runtime.calibrate",
    "convert": "hydrafy.runtime.convert",
    "evaluate": "hydrafy.runtime.evaluate",
    "finetune": "hydrafy.runtime.finetune",
    "from_torch": "hydrafy.train.exporter",
    "lower": "hydrafy.runtime.lower",
    "prune": "hydrafy.runtime.prune",
    "read": "hydrafy.runtime.read",
    "to_torch": "hydrafy.train.importer",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        found: Any = version("hydrafy")
    elif name == "load":
        found = __getattr__("Program").load
    elif name in _HOMES:
        found = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
