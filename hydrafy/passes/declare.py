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
    """The recipe's name and options, the loss terms, and what they and schedules refer to.

    Where another recipe has declared its own before, both names stand, with a plus between, each
    option behind the name of its recipe, and a loss term of the same name once.
    """

    name: ClassVar[str] = "declare"
    recipe: str
    options: Mapping[str, Any]
    losses: tuple[LossTerm, ...]
    partition: tuple[tuple[int, ...], ...] = ()
    groups: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        manifest, recipe, options = program.manifest, self.recipe, dict(self.options)
        losses: tuple[LossTerm, ...] = ()
        if manifest.recipe is not None:
            recipe, losses = f"{manifest.recipe}+{self.recipe}", manifest.losses
            before = manifest.options
            if "+" not in manifest.recipe:
                before = {f"{manifest.recipe}.{name}": value for name, value in before.items()}
            own = {f"{self.recipe}.{name}": value for name, value in options.items()}
            options = {**before, **own}
        known = {term.name for term in losses}
        program.manifest = dataclasses.replace(
            manifest,
            recipe=recipe,
            options=options,
            losses=(*losses, *(one for one in self.losses if one.name not in known)),
            partition=self.partition or manifest.partition,
            groups={**manifest.groups, **self.groups},
        )
        return []
