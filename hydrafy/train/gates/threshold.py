"""The gate that is open where its score reaches a threshold."""

import onnx_ir as ir
import torch
from torch import fx, nn

from hydrafy.ir.ops import DOMAIN
from hydrafy.train.context import Context


class ThresholdGate(nn.Module):
    """Open where a score is at or over tau, in training as at inference.

    Scores are compared in float32, also under autocast. No gradient flows.
    """

    def forward(self, scores: torch.Tensor, tau: torch.Tensor) -> torch.Tensor:
        """Bool [N, gates] from scores [N, gates] and a tau that broadcasts to them."""
        exact = scores.detach().float()
        return exact >= torch.as_tensor(tau, dtype=torch.float32, device=exact.device)


def threshold_gate(context: Context, node: ir.Node) -> fx.Node:
    """ThresholdGate(scores, tau)."""
    scores, tau = (context.tensor(v) for v in node.inputs)
    return context.module(node, ThresholdGate(), scores, tau)


CONVERTERS = {(DOMAIN, "ThresholdGate"): threshold_gate}
