"""The network that is distilled: it sees each image as the student sees it, changed alike.

Source: Beyer and others, Knowledge distillation: a good teacher is patient and consistent (2022),
Section 3: what a teacher says of the image as it was fits a crop of it, or a blend, far worse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric

from hydrafy.analysis.images import axes
from hydrafy.errors import OptionError
from hydrafy.ir.manifest import Normalisation
from hydrafy.ir.program import Program
from hydrafy.train.importer import to_torch
from hydrafy.train.loader import normalise

LEAST = 1e-12  # a probability whose logarithm is taken is no smaller


@dataclass(frozen=True, eq=False)
class Distillation:
    """What a network should learn from another one.

    Attributes:
        teacher: the other one, static, with its scores for the classes as its first output.
        weight: of the term in the loss.
        temperature: at which both are compared; higher ones tell more of the unlikely classes.
        probabilities: whether the scores are probabilities, of which the logarithms are taken.
    """

    teacher: Program
    weight: float = 1.0
    temperature: float = 4.0
    probabilities: bool = False

    def __post_init__(self) -> None:
        check_distillation(self.weight, self.temperature)


def check_distillation(weight: float, temperature: float) -> None:
    """Refuses a weight or a temperature that is not above 0.

    Raises:
        OptionError: naming it.
    """
    for name, value in {"weight": weight, "temperature": temperature}.items():
        if not 0 < value < float("inf"):
            raise OptionError(
                f"the distillation's {name} = {value} makes no sense: use one above 0"
            )


class Teacher:
    """A network in eval mode, of which nothing is trained.

    Args:
        fabric: whose device and arithmetic it shares with the student.
        distillation: which network, and what its scores are.
        normalisation: what the student's pixels go through; None where images come as floats,
            which are taken as they stand. The teacher's own takes the place of a student's.
    """

    def __init__(
        self, fabric: Fabric, distillation: Distillation, normalisation: Normalisation | None
    ) -> None:
        program = distillation.teacher
        own = None if normalisation is None else program.manifest.normalisation or normalisation
        self.fabric, self.probabilities = fabric, distillation.probabilities
        self.normalise = normalise(own, axes(program), fabric.device)
        self.output = program.graph.outputs[0].name or ""
        placed: Any = to_torch(program).eval().to(fabric.device)
        self.module = placed.to(memory_format=torch.channels_last)

    @torch.no_grad()
    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """The logits [n, classes], float32, for images [n, C, H, W] before they are normalised."""
        with self.fabric.autocast():
            scores: torch.Tensor = self.module(self.normalise(images))[self.output].float()
        return scores.clamp_min(LEAST).log() if self.probabilities else scores
