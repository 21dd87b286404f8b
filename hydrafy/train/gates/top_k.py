"""The gate that picks the best k scores, and at inference only those that reach a threshold."""

import onnx_ir as ir
import torch
from torch import fx, nn

from hydrafy.ir.ops import DOMAIN
from hydrafy.train.context import Context


class TopKGate(nn.Module):
    """Picks k choices of each row; in eval mode the best one, and the others only from tau up.

    In training the threshold is left out: the scores of a fresh gate over many choices are all
    near 1 / choices, below any useful tau, and choices that never run never learn. Equal scores go
    to the lower index, as in ONNX's TopK. Scores are compared in float32, also under autocast. No
    gradient flows: a gate learns from a loss of its own. (DynK, Algorithm 1.)

    Args:
        k: how many choices are picked at most.
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, scores: torch.Tensor, tau: torch.Tensor) -> torch.Tensor:
        """Bool [N, choices] from scores [N, choices] and a tau that broadcasts to them."""
        exact = scores.detach().float()
        ranked = torch.argsort(exact, dim=-1, descending=True, stable=True)
        nothing = torch.zeros_like(exact, dtype=torch.bool)
        top = nothing.scatter(-1, ranked[..., : self.k], True)
        if self.training:
            return top
        best = nothing.scatter(-1, ranked[..., :1], True)
        above = exact >= torch.as_tensor(tau, dtype=torch.float32, device=exact.device)
        return best | (top & above)

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        return f"k={self.k}"


def top_k_gate(context: Context, node: ir.Node) -> fx.Node:
    """TopKGate(scores, tau): a module, because training and inference differ."""
    scores, tau = (context.tensor(v) for v in node.inputs)
    return context.module(node, TopKGate(node.attributes["k"].as_int()), scores, tau)


CONVERTERS = {(DOMAIN, "TopKGate"): top_k_gate}
