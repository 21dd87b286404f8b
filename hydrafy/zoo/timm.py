"""Pretrained networks of timm (pytorch-image-models) as ONNX, and what their images need."""

from __future__ import annotations

import difflib
import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydrafy.errors import FileError, ModelError, OptionError, first_line
from hydrafy.ir.files import check_target
from hydrafy.ir.manifest import Normalisation
from hydrafy.zoo.export import Exporter, export_onnx, quiet


@dataclass(frozen=True)
class Exported:
    """A pretrained network as it was written, and what timm's configuration says of it."""

    file: Path
    normalisation: Normalisation
    input_shape: tuple[int, int, int]  # (channels, height, width)
    classes: int


def export(
    name: str,
    path: str | os.PathLike[str],
    *,
    exporter: Exporter = "torchscript",
    force: bool = False,
) -> Exported:
    """Downloads a pretrained network, unless timm has done so before, and writes it as ONNX.

    The network is in eval mode, its BatchNorm is not folded, its weights keep timm's names.

    Args:
        name: as timm lists it, for example `resnet50.a1_in1k`; without a tag timm's default.
        path: the file to write.
        exporter: which exporter of torch.onnx writes the file.
        force: whether to overwrite an existing file.

    Raises:
        OptionError: timm is not installed, or it has no pretrained network of that name.
        FileError: the weights cannot be had, or the file cannot be written.
        ModelError: the network has no classifier, or the exporter cannot write it.
    """
    check_target(Path(path), force=force)
    timm = _timm()
    if not timm.is_model_pretrained(name):
        near = difflib.get_close_matches(name, timm.list_pretrained(), n=3, cutoff=0)
        raise OptionError(
            f"timm has no pretrained network {name!r}: the nearest are {', '.join(near)}"
        )
    try:
        with quiet():
            model = timm.create_model(name, pretrained=True, exportable=True)
    except (OSError, RuntimeError) as error:  # unreachable, or damaged
        raise FileError(
            f"the weights of timm:{name} cannot be had ({first_line(error)}): "
            "check the connection to the network, or copy them into timm's cache"
        ) from error
    if not model.num_classes:
        raise ModelError(f"timm:{name} has no classifier: choose a network that was trained as one")
    config = timm.data.resolve_model_data_config(model)
    channels, height, width = config["input_size"]
    return Exported(
        export_onnx(model, path, (channels, height, width), exporter=exporter, force=force),
        Normalisation(tuple(config["mean"]), tuple(config["std"])),
        (channels, height, width),
        model.num_classes,
    )


def _timm() -> Any:
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError as error:
        raise OptionError(
            f"timm: names need the package {error.name}: pip install 'hydrafy[timm]'"
        ) from error
    except (ImportError, RuntimeError, OSError) as error:  # a torchvision for another torch
        raise OptionError(
            f"timm cannot be loaded ({first_line(error)}): "
            "install the torchvision that fits this torch"
        ) from error
