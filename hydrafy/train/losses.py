"""Loss terms: what the manifest declares as data, evaluated on a module's outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from hydrafy.errors import ModelError
from hydrafy.ir.manifest import LossTerm
from hydrafy.ir.program import Program


@dataclass(frozen=True)
class Losses:
    """The training loss of a program: a weighted sum of cross entropies.

    For recipe dynk these are L_E, the final prediction's (DynK, eq. 3), L_G, the gate's over
    branch labels (eq. 4), L_branch of each branch on the samples of its own classes (eq. 5), and
    the sum of eq. 7.

    Args:
        terms: what is summed.
        partition: the classes of each group, for terms whose target is the group.
    """

    terms: tuple[LossTerm, ...]
    partition: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        classes = sorted(label for group in self.partition for label in group)
        for term in self.terms:
            if term.target == "group" and (not classes or classes != list(range(len(classes)))):
                raise ModelError(
                    f"loss term {term.name!r} needs a partition of all classes, which the manifest "
                    "lacks: convert the source again"
                )

    @staticmethod
    def of(program: Program) -> Losses:
        """The manifest's terms; for a static program, cross entropy of its first prediction."""
        manifest = program.manifest
        if manifest.losses:
            return Losses(manifest.losses, manifest.partition)
        names = [v.name or "" for v in program.graph.outputs]
        first = next((n for n in names if manifest.role(n) == "prediction"), names[0])
        return Losses((LossTerm("final", first, "class", 1.0),))

    def __call__(
        self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Each term, unweighted, by name.

        Args:
            outputs: what the module returned; a term's output is [N, classes] or [N, groups].
            labels: int64 [N].
        """
        return {t.name: cross_entropy(t, self.partition, outputs, labels) for t in self.terms}

    def total(self, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The weighted sum of the terms: the scalar to call `backward` on."""
        return torch.stack([t.weight * values[t.name] for t in self.terms]).sum()


def cross_entropy(
    term: LossTerm,
    partition: tuple[tuple[int, ...], ...],
    outputs: Mapping[str, torch.Tensor],
    labels: torch.Tensor,
) -> torch.Tensor:
    """The mean cross entropy over the samples that a term is about, in float32.

    Without any such sample it is 0, and so is its gradient. No shape depends on the labels.
    """
    target = labels if term.target == "class" else groups(partition, labels.device)[labels]
    losses = F.cross_entropy(outputs[term.output].float(), target, reduction="none")
    if term.classes is None:
        return losses.sum() / max(len(labels), 1)
    wanted = torch.isin(labels, torch.tensor(term.classes, device=labels.device))
    return torch.where(wanted, losses, 0.0).sum() / wanted.sum().clamp(min=1)


def groups(partition: tuple[tuple[int, ...], ...], device: torch.device) -> torch.Tensor:
    """The group of each class, int64 [classes]."""
    group_of = {label: index for index, group in enumerate(partition) for label in group}
    return torch.tensor([group_of[label] for label in range(len(group_of))], device=device)
