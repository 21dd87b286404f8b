"""The loss of an early exit: cross entropy and, in the last phase, what the last exit would say.

Source: Improved Techniques for Training Adaptive Deep Networks (2019), Section 3.3, equations 7 and
8 (One-for-all knowledge distillation, OFA).

Settings: `last`, the output with the logits of the last exit; `alpha`, the share of the cross
entropy, 1 for that alone; `temperature` T, 1 where it is left out.
"""

import torch
import torch.nn.functional as F

from hydrafy.ir.manifest import LossTerm
from hydrafy.train.across import mean
from hydrafy.train.losses.distillation import divergence
from hydrafy.train.losses.seen import Seen


def value(term: LossTerm, seen: Seen) -> torch.Tensor:
    """alpha CE + (1 - alpha) T^2 KL, the means over the batch, in float32.

    The cross entropy is that of the samples with a label, the divergence that of all.
    No gradient flows into the last exit. Equation 8 leaves out the sign with which it is a
    divergence, and the released code divides it by the number of classes; here it is summed.
    """
    logits, alpha = seen.outputs[term.output], float(term.settings.get("alpha", 1.0))
    each = F.cross_entropy(logits.float(), seen.targets, reduction="none")
    found = mean(each, seen.known)
    if seen.moment.last and alpha < 1:
        heat = float(term.settings.get("temperature", 1.0))
        last = seen.outputs[term.settings["last"]].detach()
        found = alpha * found + (1 - alpha) * mean(divergence(logits, last, heat))
    return found
