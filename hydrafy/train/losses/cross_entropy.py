"""Cross entropy of an output with the label, or with the group that the label's class is in.

For recipe dynk these are L_E, the final prediction's (DynK, eq. 3), L_G, the gate's over branch
labels (eq. 4), and L_branch of each branch on the samples of its own classes (eq. 5).

Settings: `target` is `class` (the default) or `group`; with `classes`, only samples whose label is
among them count, and a batch without any gives 0. Samples without a label never count.
"""

import torch
import torch.nn.functional as F

from hydrafy.ir.manifest import LossTerm
from hydrafy.train.across import mean
from hydrafy.train.losses.seen import Seen


def value(term: LossTerm, seen: Seen) -> torch.Tensor:
    """The mean over the samples that the term is about, in float32; its output is [N, choices]."""
    target = seen.groups() if term.settings.get("target") == "group" else seen.targets
    each = F.cross_entropy(seen.outputs[term.output].float(), target, reduction="none")
    classes = term.settings.get("classes")
    if classes is None:
        return mean(each, seen.known)
    return mean(each, torch.isin(seen.labels, torch.tensor(classes, device=each.device)))
