"""Polarity: whether more work waits for a predicate to hold, or for it not to hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hydrafy.analysis.predication.executed import Work
from hydrafy.analysis.predication.predicates import Predicate

Read = tuple[str, int | None]
"""A tensor of bools, and one of its columns, or None where it has one bool for each image."""


@dataclass(frozen=True)
class Polarity:
    """How predicates have to hold so that about a certain share of what depends on them runs.

    A gate's work runs where its predicate holds. What is behind an exit runs where that one's does
    not, and the exit's classifier may run where it does. Where both sides have work, the larger
    one counts.

    Attributes:
        named: the MACs that run only where a predicate holds, less those that run only where it
            does not, for one image, by its name.
        read: the same by where predicates, and those that logic makes them of, are read.
    """

    named: Mapping[str, int]
    read: Mapping[Read, int]

    @staticmethod
    def of(works: Iterable[Work]) -> Polarity:
        """Looks at the work of a program."""
        named: dict[str, int] = {}
        read: dict[Read, int] = {}
        for work in works:
            for condition in work.conditions:
                one, polarity = condition.predicate, work.macs if condition.holds else -work.macs
                named[one.name] = named.get(one.name, 0) + polarity
                for place, sign in _read(one):
                    read[place] = read.get(place, 0) + sign * polarity
        return Polarity(named, read)

    def of_predicate(self, name: str, share: float) -> float:
        """How often a predicate holds so that about a share of its work runs."""
        return share if self.named.get(name, 0) >= 0 else 1 - share

    def of_column(self, value: str, column: int | None, share: float) -> float:
        """The same of a column of a decision, by its tensor's name."""
        return share if self.read.get((value, column), 0) >= 0 else 1 - share


def _read(one: Predicate, sign: int = 1) -> Iterator[tuple[Read, int]]:
    """Where a predicate is read, each with 1 if it helps the predicate to hold, else -1.

    What an Xor is made of does neither, and comparisons read numbers.
    """
    if one.op in ("And", "Or", "Not"):
        for operand in one.operands:
            yield from _read(operand, -sign if one.op == "Not" else sign)
    elif not one.op:
        yield (one.value, one.column), sign
