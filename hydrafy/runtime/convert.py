"""Making a static network dynamic by a recipe, and saying what that costs and changes."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hydrafy import recipes
from hydrafy.analysis.cost import Cost, cost, expected_macs, parameters, weights
from hydrafy.analysis.need import alive, shares
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.runtime.read import Source, read


def convert(
    source: Source, recipe: str, *, watch: base.Watch | None = None, **options: Any
) -> Program:
    """Makes a static network dynamic.

    Args:
        source: an ONNX file, an ONNX model, or a static program, which stays as it is.
        recipe: a recipe's name, as `hydrafy recipes` lists them.
        watch: called after each pass, for progress.
        options: the recipe's options, as values or as text.

    Raises:
        OptionError: an unknown recipe or option, or a value that makes no sense.
        FileError: the source cannot be read.
        ModelError: the recipe has no place in this network; it says why.
    """
    chosen = recipes.find(recipe).parse(options)
    program = read(source)
    return base.run(program, chosen.passes(program), watch)
