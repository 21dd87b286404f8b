"""The papers' source networks in torch, seeded and ready to export, for trials and tests."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import nn

from hydrafy.errors import OptionError
from hydrafy.zoo.catalogue import CifarOptions, Entry, ImageNetOptions, find, names
from hydrafy.zoo.export import Exporter, export_onnx
from hydrafy.zoo.resnet import CifarResNet, ImageNetResNet

__all__ = [
    "CifarOptions",
    "Entry",
    "ImageNetOptions",
    "build",
    "export",
    "export_onnx",
    "find",
    "names",
]


def build(name: str, seed: int = 0, **options: object) -> nn.Module:
    """A random network in eval mode; the same seed gives the same weights, bit for bit.

    Convolutions are He-initialised. BatchNorm's scales and shifts are spread around 1 and 0, so
    that they differ and matter as in a trained network; its statistics are those of one batch of
    normal noise, so that activations keep their scale through the depth.

    Args:
        name: `resnet20`, `resnet50`, `cifar_resnet50` ...: see `find`.
        seed: of the weights and the noise. The caller's random state is left alone.
        options: fields of `CifarOptions` or `ImageNetOptions`.

    Raises:
        OptionError: no such network, no such option, or a value that makes no sense.
    """
    entry = find(name, options)
    if not 0 <= seed < 2**63:
        raise OptionError(f"seed = {seed} makes no sense: use one from 0 to 2**63 - 1")
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        module = _module(entry)
        _settle(module, entry)
    return module.eval()


def export(
    name: str,
    path: str | os.PathLike[str],
    *,
    seed: int = 0,
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
    shape = find(name, options).input_shape
    return export_onnx(
        build(name, seed, **options),
        path,
        shape,
        exporter=exporter,
        fold=fold,
        dynamic_batch=dynamic_batch,
        opset=opset,
        force=force,
    )


def _module(entry: Entry) -> nn.Module:
    chosen = entry.options
    if isinstance(chosen, ImageNetOptions):
        return ImageNetResNet(entry.depth, chosen.classes)
    return CifarResNet(entry.depth, chosen.classes, chosen.channels, chosen.width, chosen.shortcut)


def _settle(module: nn.Module, entry: Entry) -> None:
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    usual = [norm.momentum for norm in norms]
    batch = 8 if isinstance(entry.options, ImageNetOptions) else 64
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.75, 1.25)
        nn.init.normal_(norm.bias, std=0.1)
        norm.momentum = 1.0  # keep nothing of the statistics before
    with torch.no_grad():
        module.train()(torch.randn(batch, *entry.input_shape))
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum
