"""Where the latency model of this machine is kept, and whether it holds here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hydrafy.errors import FileError

if TYPE_CHECKING:
    from hydrafy.analysis.latency import LatencyModel


def place() -> Path:
    """The file, in the user's folder for settings."""
    return Path(click.get_app_dir("hydrafy")) / "latency.json"


def kept() -> LatencyModel | None:
    """The model that `hydrafy bench --fit` wrote; None without one for this machine.

    Raises:
        FileError: the file holds something else.
    """
    file = place()
    if not file.is_file():
        return None
    from hydrafy.analysis.latency import LatencyModel
    from hydrafy.runtime.machine import processor

    try:
        model = LatencyModel.from_json(file.read_text())
    except FileError as error:
        raise FileError(f"{file}: {error}") from error
    import onnxruntime

    here = (onnxruntime.__version__, processor())
    return model if (model.onnxruntime, model.processor) == here else None


def keep(model: LatencyModel) -> Path:
    """Writes the model, and says where."""
    from hydrafy.ir.files import write

    file = place()
    file.parent.mkdir(parents=True, exist_ok=True)
    write(model.to_json().encode(), file)
    return file
