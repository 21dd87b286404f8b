"""Stands in for timm where it is not installed: one tiny network, and one without weights."""

from fnmatch import fnmatch
from types import SimpleNamespace
from urllib.error import URLError

import torch
from torch import nn

NAMES = ["hydrafy_tiny.gone", "hydrafy_tiny.here", "hydrafy_tiny.trunk"]


def is_model_pretrained(name: str) -> bool:
    return name in NAMES


def list_pretrained(pattern: str = "*") -> list[str]:
    return [name for name in NAMES if fnmatch(name, pattern)]


def create_model(name: str, pretrained: bool = False, exportable: bool = False) -> nn.Module:
    assert pretrained and exportable
    if name.endswith("gone"):
        raise URLError("no route to host")
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)
    model = nn.Sequential(conv, norm, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 7))
    model.num_classes = 0 if name.endswith("trunk") else 7
    return model.train()


def _config(model: nn.Module) -> dict[str, object]:
    return {"input_size": (3, 40, 48), "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}


data = SimpleNamespace(resolve_model_data_config=_config)
