"""The training loss: a weighted sum of terms, which the manifest declares as data.

Each kind of term is a file of this package, found by its name, with a function
`value(term, seen)`: the term's unweighted value, a scalar. Where training runs in several
processes, the mean of theirs must be the value for all images: see `hydrafy.train.across`. It may
have a function `check(term, epochs)`, which refuses what makes no sense in so many epochs, and say
`LATE = True`: that it is met in the course of the training, so that no early epoch is the best.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

import torch

from hydrafy.errors import ModelError
from hydrafy.ir.manifest import LossTerm
from hydrafy.ir.program import Program
from hydrafy.train.losses.seen import BEGINNING, Moment, Seen


@dataclass(frozen=True)
class Losses:
    """The loss terms of a program.

    Args:
        terms: what is summed.
        partition: the classes of each group, for terms that ask for the group of a label.

    Raises:
        ModelError: a term is of an unknown kind, or needs a partition that the manifest lacks.
    """

    terms: tuple[LossTerm, ...]
    partition: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        classes = sorted(label for group in self.partition for label in group)
        whole = bool(classes) and classes == list(range(len(classes)))
        for term in self.terms:
            if term.kind not in kinds():
                raise ModelError(
                    f"loss term {term.name!r} is of the kind {term.kind!r}, which this hydrafy "
                    "does not know: use the hydrafy that wrote the file"
                )
            if term.settings.get("target") == "group" and not whole:
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
        return Losses((LossTerm("final", first, 1.0),))

    def __call__(
        self,
        outputs: Mapping[str, torch.Tensor],
        labels: torch.Tensor,
        teacher: torch.Tensor | None = None,
        moment: Moment = BEGINNING,
    ) -> dict[str, torch.Tensor]:
        """Each term, unweighted, by name.

        Args:
            outputs: what the module returned.
            labels: int64 [N].
            teacher: the logits of the network that is distilled, [N, classes], for terms that ask.
            moment: when in the training.
        """
        seen = Seen(outputs, labels, self.partition, teacher, moment)
        return {term.name: kinds()[term.kind].value(term, seen) for term in self.terms}

    @property
    def late(self) -> bool:
        """Whether the last epoch is the best, whatever its accuracy."""
        return any(getattr(kinds()[term.kind], "LATE", False) for term in self.terms)

    @property
    def exits(self) -> tuple[str, ...]:
        """The outputs [N, classes] of early exits, in their order."""
        return tuple(term.output for term in self.terms if term.kind == "exit")

    def check(self, epochs: int) -> None:
        """Refuses terms that make no sense in so many epochs.

        Raises:
            OptionError: naming the term.
        """
        for term in self.terms:
            if (check := getattr(kinds()[term.kind], "check", None)) is not None:
                check(term, epochs)

    def total(self, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The weighted sum of the terms: the scalar to call `backward` on."""
        return torch.stack([t.weight * values[t.name] for t in self.terms]).sum()


@functools.cache
def kinds() -> dict[str, ModuleType]:
    """What computes each kind of term: the files of this package."""
    names = [m.name for m in pkgutil.iter_modules(__path__) if m.name != "seen"]
    return {n: importlib.import_module(f"{__name__}.{n}") for n in names}
