"""Choices: of predicates of which exactly one holds, those that each branch of an If is for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from hydrafy.analysis.predication.predicates import Condition, Predicate, read_predicate
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
    """The options of an If's branches: exactly one of all of them holds.

    A branch with one option is what runs where that holds; one with more chooses again.
    """

    then_branch: tuple[Option, ...]
    else_branch: tuple[Option, ...]

    @property
    def options(self) -> tuple[Option, ...]:
        """Those of both branches."""
        return (*self.then_branch, *self.else_branch)

    def only(self, side: str) -> Predicate | None:
        """The predicate that a branch runs for; None if it chooses again."""
        options = self.then_branch if side == SIDES[0] else self.else_branch
        return options[0].predicate if len(options) == 1 else None

    def conditions(self, side: str) -> frozenset[Condition]:
        """What has to hold for a branch to run; nothing where an If within it says so."""
        predicate = self.only(side)
        return frozenset() if predicate is None else frozenset({Condition(predicate)})

    def shares(self, rates: Mapping[str, float]) -> dict[str, float]:
        """How often each predicate holds among the images that get to the If; they sum to 1.

        Args:
            rates: how often predicates hold, by name; the others as often as was said. All alike
                where that is not known of one of them.
        """
        names = [one.predicate.name for one in self.options]
        told = [rates.get(one.predicate.name, one.share) for one in self.options]
        known = [rate for rate in told if rate is not None]
        if len(known) < len(told) or not sum(known):
            return dict.fromkeys(names, 1 / len(names))
        return {name: rate / sum(known) for name, rate in zip(names, known, strict=True)}

    def rate(self, rates: Mapping[str, float]) -> float:
        """The share of images for which the then-branch runs, of those that get to the If."""
        shares = self.shares(rates)
        return sum(shares[one.predicate.name] for one in self.then_branch)


def leaves(root: ir.Node) -> Iterator[tuple[ir.Graph, Predicate]]:
    """The regions of a tree of Ifs, each with the predicate for which it runs.

    Args:
        root: an If; one of no tree has none.
    """
    choice = noted_choice(root)
    if choice is None:
        return
    for side in SIDES:
        inner, predicate = root.attributes[side].as_graph(), choice.only(side)
        if predicate is not None:
            yield inner, predicate
        else:
            for node in inner:
                yield from leaves(node)


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
