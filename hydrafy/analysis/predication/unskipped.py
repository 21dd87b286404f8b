"""Unskipped: by which predicates lowering skips nothing, though the dynamic program could."""

from __future__ import annotations

from collections.abc import Iterator

from hydrafy.analysis.predication.executed import work
from hydrafy.ir.program import Program


def unskipped(program: Program, lowered: Program) -> list[str]:
    """The names of predicates on which work of a dynamic program depends, and none of its lowered.

    Lowering makes no region where it would not pay, and what mixes rows stays outside of one. Such
    work runs for every image that gets there.

    Raises:
        ModelError: as `work`.
    """
    mine, its = (dict(_asked(one)) for one in (program, lowered))
    return sorted(name for read, name in mine.items() if read not in its)


def _asked(program: Program) -> Iterator[tuple[tuple[object, ...], str]]:
    """What the conditions of work are read from, each with the name of its predicate."""
    for one in work(program):
        for condition in one.conditions:
            for atom in condition.predicate.atoms:
                yield (atom.value, atom.column, atom.op, atom.bound), atom.name
