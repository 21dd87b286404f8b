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
    """T^2 KL(softmax(teacher / T) || softmax(output / T)), the mean over the batch, in float32.

    The divergence is summed over classes; T^2 keeps its gradient at the size that it has at T = 1.

    Raises:
        ModelError: there is no teacher.
    """
    if seen.teacher is None:
        raise ModelError(f"loss term {term.name!r} needs a teacher's logits: use --distill")
    heat = float(term.settings.get("temperature", 1.0))
    student = F.log_softmax(seen.outputs[term.output].float() / heat, dim=1)
    teacher = F.log_softmax(seen.teacher.float() / heat, dim=1)
    each = F.kl_div(student, teacher, reduction="none", log_target=True).sum(1)
    return heat**2 * mean(each)
