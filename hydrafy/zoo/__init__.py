"""The papers' source networks in torch, seeded and ready to export, for trials and tests."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import nn

from hydrafy.errors import OptionError
from hydrafy.zoo.catalogue import find, names, options
from hydrafy.zoo.design import Design
from hydrafy.zoo.export import Exporter, export_onnx
from hydrafy.zoo.settle import settle, spread

__all__ = ["Design", "build", "export", "export_onnx", "find", "names", "options"]

MOST_PARAMETERS = 10**9


def build(name: str, seed: int = 0, *, settled: bool = True, **options: object) -> nn.Module:
    """A random network in eval mode; the same seed gives the same weights, bit for bit.

    Convolutions are He-initialised. BatchNorm's scales and shifts are spread around 1 and 0, so
    that they differ and matter as in a trained network; its statistics are those of one batch of
    normal noise, so that activations keep their scale through the depth.

    Args:
        name: `resnet20`, `resnet50`, `cifar_resnet50` ...: see `find`.
        seed: of the weights and the noise. The caller's random state is left alone.
        settled: whether BatchNorm gets its statistics; without it nothing is computed, which is
            faster, and enough where a network's shape alone matters.
        options: fields of the network's design.

    Raises:
        OptionError: no such network, no such option, or a value that makes no sense.
    """
    design = find(name, options)
    if not 0 <= seed < 2**63:
        raise OptionError(f"seed = {seed} makes no sense: use one from 0 to 2**63 - 1")
    _check_size(name, design)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        module = design.module()
        spread(module)
        if settled:
            settle(module, torch.randn(design.BATCH, *design.input_shape))
    return module.eval()


def export(
    name: str,
    path: str | os.PathLike[str],
    *,
    seed: int = 0,
    settled: bool = True,
    exporter: Exporter = "torchscript",
    fold: bool = False,
    dynamic_batch: bool = True,
    opset: int = 18,
    force: bool = False,
    **options: object,
) -> Path:
    """Builds a network and writes it as ONNX; `build` and `export_onnx` say what each means.

    Raises:
        OptionError: no such network, option or exporter.
        FileError: the file exists and `force` is not set, or it cannot be written.
    """
    design = find(name, options)
    return export_onnx(
        build(name, seed, settled=settled, **options),
        path,
        design.input_shape,
        outputs=design.outputs,
        exporter=exporter,
        fold=fold,
        dynamic_batch=dynamic_batch,
        opset=opset,
        force=force,
    )


def _check_size(name: str, design: Design) -> None:
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        parameters = sum(weight.numel() for weight in design.module().parameters())
    if parameters > MOST_PARAMETERS:
        raise OptionError(
            f"{name} with these options has {parameters:,} parameters: "
            f"the zoo builds at most {MOST_PARAMETERS:,}, choose smaller ones"
        )
