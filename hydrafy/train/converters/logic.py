"""Comparisons of numbers, and what logic makes of their results, element by element."""

import operator
from collections.abc import Callable
from typing import Any

import onnx_ir as ir
import torch
from torch import fx

from hydrafy.train.context import Context, Converter


def _operands(function: Callable[..., Any]) -> Converter:
    def convert(context: Context, node: ir.Node) -> fx.Node:
        return context.call(node, function, *(context.tensor(v) for v in node.inputs))

    return convert


CONVERTERS: dict[tuple[str, str], Converter] = {
    ("", "Greater"): _operands(operator.gt),
    ("", "GreaterOrEqual"): _operands(operator.ge),
    ("", "Less"): _operands(operator.lt),
    ("", "LessOrEqual"): _operands(operator.le),
    ("", "And"): _operands(torch.logical_and),
    ("", "Not"): _operands(torch.logical_not),
    ("", "Or"): _operands(torch.logical_or),
    ("", "Xor"): _operands(torch.logical_xor),
}
