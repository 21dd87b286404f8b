"""Choices: of predicates of which exactly one holds, those that each branch of an If is for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from hydrafy.analysis.predicates import Condition, Predicate, read_predicate
from hydrafy.errors import ModelError

CHOICE = "hydrafy.choice"
"""Metadata of an If of a tree: JSON, the options of its branches."""

SIDES = ("then_branch", "else_branch")


@dataclass(frozen=True)
class Option:
    """A predicate, and for which share of all images it holds, if somebody said."""

    predicate: Predicate
    share: float | None = None


@dataclass(frozen=True)
class Choice:
    """An If that knows that one of its options holds: `then_branch` and `else_branch` have each.

    A branch with one option is what runs where that holds; one with more chooses again.
    """

    then_branch: tuple[Option, ...]
    else_branch: tuple[Option, ...]

    @property
    def options(self) -> tuple[Option, ...]:
        """Those of both branches."""
        return (*self.then_branch, *self.else_branch)

    @property
    def leaves(self) -> Iterator[tuple[str, Predicate]]:
        """The branches that do not choose again, by name, each with its predicate."""
        for side in SIDES:
            options: tuple[Option, ...] = getattr(self, side)
            if len(options) == 1:
                yield side, options[0].predicate

    def conditions(self, side: str) -> frozenset[Condition]:
        """What has to hold for a branch to run, so far as no If within it says so."""
        return frozenset(Condition(one) for name, one in self.leaves if name == side)

    def rate(self, rates: Mapping[str, float]) -> float:
        """The share of images for which the then-branch runs, of those that get to the If.

        Args:
            rates: how often predicates hold, by name; the others as often as was said.
        """
        told = [rates.get(one.predicate.name, one.share) for one in self.options]
        known = [rate for rate in told if rate is not None]
        if len(known) < len(told) or not sum(known):
            return len(self.then_branch) / len(told)
        return sum(known[: len(self.then_branch)]) / sum(known)


def note_choice(node: ir.Node, choice: Choice) -> None:
    """Writes into the metadata of an If what its branches are for."""
    node.metadata_props[CHOICE] = json.dumps(dataclasses.asdict(choice))


def noted_choice(node: ir.Node) -> Choice | None:
    """What `note_choice` wrote; None where nobody did.

    Raises:
        ModelError: something else stands there.
    """
    text = node.metadata_props.get(CHOICE)
    if text is None:
        return None
    try:
        fields = json.loads(text)
        then, other = (tuple(_option(one) for one in fields[side]) for side in SIDES)
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"node {node.name!r} has the choice {text[:40]!r}: lower the network again"
        ) from error
    return Choice(then, other)


def _option(fields: dict[str, object]) -> Option:
    share = fields["share"]
    if share is not None and not (isinstance(share, int | float) and 0 <= share <= 1):
        raise ValueError(share)
    return Option(read_predicate(fields["predicate"]), share)
