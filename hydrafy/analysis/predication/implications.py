"""Implications: what some facts say about a predicate, by trying every case that they leave."""

import itertools
import math
import operator
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

from hydrafy.analysis.predication.formulas import Compared, Flag, Formula, Logic, atoms

CASES = 4096
"""Cases that are tried at most; where there are more, nothing is known."""

Fact = tuple[Formula, bool]

Case = int | None
"""A flag's bool as 0 or 1; where a number lies: see `places`."""

Bounds = Mapping[Hashable, tuple[float, ...]]
"""What each number in play is compared with, ascending; nothing for a flag."""

_KINDS: dict[str, Callable[[int, int], bool]] = {
    "Greater": operator.gt,
    "GreaterOrEqual": operator.ge,
    "Less": operator.lt,
    "LessOrEqual": operator.le,
}


def known(formula: Formula, facts: Iterable[Fact]) -> bool | None:
    """Whether a formula holds wherever all of the facts do: True, False, or None if unknown.

    Of what cannot be, everything is true. A number may be NaN, of which no comparison holds: that
    `x <= 1` does not hold does not say that `x > 1` does.
    """
    facts = _related(formula, list(facts))
    variables = bounds([formula, *(f for f, _ in facts)])
    choices = [places(limits) for limits in variables.values()]
    if math.prod(map(len, choices)) > CASES:
        return None
    found: set[bool] = set()
    for chosen in itertools.product(*choices):
        case = dict(zip(variables, chosen, strict=True))
        if all(holds(f, case, variables) == wanted for f, wanted in facts):
            found.add(holds(formula, case, variables))
        if len(found) == 2:
            return None
    return False not in found


def bounds(formulas: Iterable[Formula]) -> Bounds:
    """The variables of some formulas."""
    found: dict[Hashable, set[float]] = {}
    for atom in (atom for formula in formulas for atom in atoms(formula)):
        limits = found.setdefault(atom.of, set())
        if isinstance(atom, Compared):
            limits.add(atom.bound)
    return {of: tuple(sorted(limits)) for of, limits in found.items()}


def places(limits: Sequence[float]) -> list[Case]:
    """All cases of a variable that is compared with some numbers.

    Place 2i + 1 is the i-th number itself, 2i the gap before it; None is NaN.
    """
    return [0, 1] if not limits else [None, *range(2 * len(limits) + 1)]


def holds(formula: Formula, case: Mapping[Hashable, Case], variables: Bounds) -> bool:
    """Whether a formula holds in a case."""
    if isinstance(formula, Logic):
        return _logic(formula.kind, [holds(f, case, variables) for f in formula.operands])
    place = case[formula.of]
    if isinstance(formula, Flag):
        return bool(place)
    mark = 2 * variables[formula.of].index(formula.bound) + 1
    return place is not None and _KINDS[formula.kind](place, mark)


def _logic(kind: str, operands: list[bool]) -> bool:
    if kind == "And":
        return all(operands)
    if kind == "Or":
        return any(operands)
    return sum(operands) % 2 == (1 if kind == "Xor" else 0)


def _related(formula: Formula, facts: list[Fact]) -> list[Fact]:
    """The facts that share variables with a formula, directly or through each other."""
    seen, found = {atom.of for atom in atoms(formula)}, list[Fact]()
    while more := [
        fact for fact in facts if fact not in found and seen & {a.of for a in atoms(fact[0])}
    ]:
        found += more
        seen |= {atom.of for fact in more for atom in atoms(fact[0])}
    return found
