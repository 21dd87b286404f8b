"""Select: rows of one tensor where a predicate holds, rows of another elsewhere."""

import onnx_ir as ir
import torch
from torch import fx

from hydrafy.ir.ops import DOMAIN
from hydrafy.train.context import Context


def select(
    pred: torch.Tensor, a: torch.Tensor, b: torch.Tensor | float | int | bool
) -> torch.Tensor:
    """Rows of a where pred, rows of b elsewhere.

    Rows that are not chosen reach neither the result (even if they are NaN) nor, by exact zeros,
    the gradient.

    Args:
        pred: bool [N], or [] for all rows at once.
        a: [N, ...].
        b: of a's shape, or a scalar.
    """
    return torch.where(pred.reshape(-1, *(1 for _ in range(a.dim() - 1))), a, b)


def convert(context: Context, node: ir.Node) -> fx.Node:
    """Select with train = mask and gradient = none; the other modes are refused by name."""
    train = node.attributes.get_string("train", "mask")
    gradient = node.attributes.get_string("gradient", "none")
    if train != "mask" or gradient != "none":
        raise context.refuse(
            node,
            f"train={train}, gradient={gradient} is not supported yet, only train=mask, "
            "gradient=none",
        )
    return context.call(node, select, *(context.tensor(v) for v in node.inputs))


CONVERTERS = {(DOMAIN, "Select"): convert}
