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


def blend(
    pred: torch.Tensor, a: torch.Tensor, b: torch.Tensor | float | int | bool
) -> torch.Tensor:
    """As `select`, with a gradient for the predicate where that is a float mask of 0 and 1.

    The gradient needs both sides of every row: what a row does not choose must be a number, too.
    In eval mode gates give bools.
    """
    if pred.dtype == torch.bool:
        return select(pred, a, b)
    mask = pred.reshape(-1, *(1 for _ in range(a.dim() - 1))).to(a.dtype)
    if not isinstance(b, torch.Tensor) and b == 0:
        return mask * a
    return mask * a + (1 - mask) * b


GRADIENTS = {"none": select, "straight_through": blend}
"""What a Select does in training, by its attribute `gradient`."""


def convert(context: Context, node: ir.Node) -> fx.Node:
    """Select: both sides of all rows are computed, and one of them is taken."""
    own = GRADIENTS[node.attributes.get_string("gradient", "none")]
    return context.call(node, own, *(context.tensor(v) for v in node.inputs))


CONVERTERS = {(DOMAIN, "Select"): convert}
