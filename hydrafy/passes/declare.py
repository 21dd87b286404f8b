"""Writes into the manifest by which recipe a program was made and how it is to be trained."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from hydrafy.ir.manifest import LossTerm
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class Declare(Pass):
    """The recipe's name and options, the loss terms, and the class partition they refer to."""

    name: ClassVar[str] = "declare"
    recipe: str
    options: Mapping[str, Any]
    losses: tuple[LossTerm, ...]
    partition: tuple[tuple[int, ...], ...] = ()

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        program.manifest = dataclasses.replace(
            program.manifest,
            recipe=self.recipe,
            options=dict(self.options),
            losses=self.losses,
            partition=self.partition,
        )
        return []
