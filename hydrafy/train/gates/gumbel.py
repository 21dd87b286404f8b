"""The gate that is open by chance in training, at inference where its log-odds reach a bound."""

import onnx_ir as ir
import torch
from torch import fx, nn

from hydrafy.ir.ops import DOMAIN
from hydrafy.train.context import Context


class GumbelGate(nn.Module):
    """Open with the probability that its log-odds say; the gradient is that of a softmax.

    In training two Gumbel variables are added to the logits of open and closed, whose difference
    is the log-odds; the larger one wins, and the gradient flows as if the softmax of both had been
    the result: straight-through. (Probabilistic gates, Section 2.1; Jang et al., Categorical
    reparameterization with Gumbel-Softmax, 2017.) Everything is computed in float32, also under
    autocast.

    Args:
        temperature: of that softmax when training begins.
        cooled: the same in the last epoch; it falls geometrically.
        inverted: whether what is open counts 1 / probability in training, so that its mean is that
            of a gate which is always open.
    """

    heat: torch.Tensor

    def __init__(
        self, temperature: float = 1.0, cooled: float = 1.0, inverted: bool = False
    ) -> None:
        super().__init__()
        self.temperature, self.cooled, self.inverted = temperature, cooled, inverted
        self.register_buffer("heat", torch.tensor(temperature), persistent=False)

    def pace(self, share: float) -> None:
        """Sets the temperature, after a share of the training from 0 to 1."""
        self.heat.fill_(self.temperature * (self.cooled / self.temperature) ** share)

    def forward(self, logits: torch.Tensor, bound: torch.Tensor) -> torch.Tensor:
        """Bool [N, gates]; in training the same as float32, 0 or 1, with a gradient.

        Args:
            logits: log-odds [N, gates].
            bound: broadcast to them; training does without.
        """
        exact = logits.float()
        if not self.training:
            return exact >= torch.as_tensor(bound, dtype=torch.float32, device=exact.device)
        least = torch.finfo(torch.float32).tiny
        waits = torch.empty(2, *exact.shape, device=exact.device).exponential_().clamp_min(least)
        noisy = exact + waits[0].log() - waits[1].log()  # Gumbel variables are -log of these
        soft = torch.sigmoid(noisy / self.heat)
        hard = (noisy >= 0).float() + (soft - soft.detach())
        return hard / torch.sigmoid(exact) if self.inverted else hard

    def extra_repr(self) -> str:
        """What `print(module)` shows."""
        found = f"temperature={self.temperature:g}, cooled={self.cooled:g}"
        return f"{found}, inverted=True" if self.inverted else found


def gumbel_gate(context: Context, node: ir.Node) -> fx.Node:
    """GumbelGate(logits, bound): a module, because training and inference differ."""
    made = GumbelGate(
        context.decimal(node, "temperature", 1.0),
        context.decimal(node, "cooled", 1.0),
        bool(node.attributes.get_int("inverted", 0)),
    )
    return context.module(node, made, *(context.tensor(v) for v in node.inputs))


CONVERTERS = {(DOMAIN, "GumbelGate"): gumbel_gate}
