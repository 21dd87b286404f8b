"""Knowledge distillation: the output should say of an image what the teacher says of it.

Source: Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network (2015).

Settings: `temperature` T, 1 where it is left out.
"""

import torch
import torch.nn.functional as F

from hydrafy.errors import ModelError
from hydrafy.ir.manifest import LossTerm
from hydrafy.train.across import mean
from hydrafy.train.losses.seen import Seen


def value(term: LossTerm, seen: Seen) -> torch.Tensor:
    """The mean over the batch of how far the output is from the teacher.

    Raises:
        ModelError: there is no teacher.
    """
    if seen.teacher is None:
        raise ModelError(f"loss term {term.name!r} needs a teacher's logits: use --distill")
    heat = float(term.settings.get("temperature", 1.0))
    return mean(divergence(seen.outputs[term.output], seen.teacher, heat))


def divergence(student: torch.Tensor, teacher: torch.Tensor, heat: float) -> torch.Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)) of logits [N, classes]: float32 [N].

    The divergence is summed over classes; T^2 keeps its gradient at the size that it has at T = 1.
    """
    said, wanted = (F.log_softmax(logits.float() / heat, dim=1) for logits in (student, teacher))
    return heat**2 * F.kl_div(said, wanted, reduction="none", log_target=True).sum(1)
