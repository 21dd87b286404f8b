"""What a loss term may look at: the outputs for a batch, its labels, the teacher, the moment."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Moment:
    """Where in the training a batch is seen.

    Attributes:
        epoch: of how many epochs before it.
        batches: of how many batches before it, of this epoch.
        rates: how often each choice of each decision was made in those.
        last: whether it is of the last phase.
    """

    epoch: int = 0
    batches: int = 0
    rates: Mapping[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    last: bool = True


BEGINNING = Moment()


@dataclass(frozen=True, eq=False)
class Seen:
    """A batch, as loss terms see it.

    Attributes:
        outputs: what the module returned, by name.
        labels: int64 [N]; below 0 where the class is not known.
        partition: the classes of each group; empty where the recipe groups none.
        teacher: the logits [N, classes] of the network that is distilled; None where none is.
        moment: when it is seen.
    """

    outputs: Mapping[str, torch.Tensor]
    labels: torch.Tensor
    partition: tuple[tuple[int, ...], ...] = ()
    teacher: torch.Tensor | None = None
    moment: Moment = BEGINNING

    @property
    def known(self) -> torch.Tensor:
        """Whether the class of an image is known, bool [N]."""
        return self.labels >= 0

    @property
    def targets(self) -> torch.Tensor:
        """Labels, int64 [N], with some class where it is not known."""
        return self.labels.clamp(min=0)

    def groups(self) -> torch.Tensor:
        """The group of each of `targets`, int64 [N]."""
        group_of = {c: index for index, group in enumerate(self.partition) for c in group}
        order = [group_of[c] for c in range(len(group_of))]
        return torch.tensor(order, device=self.labels.device)[self.targets]
