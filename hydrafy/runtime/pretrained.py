"""A network that a user names for conversion: a file, or one of timm's, exported first."""

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hydrafy.errors import OptionError
from hydrafy.ir.program import Program
from hydrafy.runtime.read import read

TIMM = "timm:"


def timm_name(source: str | os.PathLike[str]) -> str | None:
    """The name of timm's network in `timm:NAME`; None for a file.

    Raises:
        OptionError: there is no name behind the colon.
    """
    text = os.fspath(source)
    if text == TIMM:
        raise OptionError("name a network of timm, such as timm:resnet50.a1_in1k")
    return text.removeprefix(TIMM) if text.startswith(TIMM) else None


@contextlib.contextmanager
def static(source: str | os.PathLike[str]) -> Iterator[Program]:
    """The static program of a file or of `timm:NAME`, which records what its images need.

    What timm's network is exported to is gone when the context ends.

    Raises:
        FileError: the file or the weights cannot be read.
        OptionError: timm is not installed, or has no such network.
        ModelError: the network cannot be understood.
    """
    name = timm_name(source)
    if name is None:
        yield read(source)
        return
    from hydrafy.zoo import timm  # loads torch

    with tempfile.TemporaryDirectory(prefix="hydrafy-") as folder:
        made = timm.export(name, Path(folder) / "network.onnx")
        program = read(made.file)
        program.manifest = dataclasses.replace(
            program.manifest, source=os.fspath(source), normalisation=made.normalisation
        )
        yield program
