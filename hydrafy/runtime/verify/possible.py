"""What can be decided together, where decisions say something about each other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.formulas import Compared, Flag, Formulas, Logic
from hydrafy.analysis.implications import CASES, Bounds, Case, bounds, holds, known, places
from hydrafy.analysis.places import Places
from hydrafy.analysis.rows import is_batched
from hydrafy.ir.ops import is_select
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.runtime.verify.compare import Array

Atom = Flag | Compared


def sides(program: Program) -> set[tuple[str, bool]]:
    """The sides of predicates, by name, that a row of a dynamic program may need.

    A Select that is used only where its predicate is known needs one side of it.
    """
    where, found = Places.of(program), set[tuple[str, bool]]()
    for select in filter(is_select, where.nodes):
        out, pred = select.outputs[0], select.inputs[0]
        assert pred is not None
        needed = [where.facts(use.place) for use in where.possible(out)]
        needed += [[]] if out.is_graph_output() else []
        said = {known(where.formulas.of(pred), facts) for facts in needed}
        found |= {(pred.name or "", side) for side in (True, False) if said - {not side}}
    return found


def settle(
    values: Iterable[ir.Value],
    decided: Mapping[str, Array],
    formulas: Formulas,
    rng: np.random.Generator,
) -> None:
    """Changes decisions, in place, that cannot be made together.

    What is computed alike is decided alike, and a number that is compared more than once lies
    somewhere.

    Args:
        values: what is decided, bool [], [N] or [N, columns].
        decided: for each of them, by name.
        formulas: of the program.
        rng: says where the numbers lie.
    """
    same: dict[Hashable, list[tuple[Atom, Array]]] = {}
    for value in values:
        array = decided[value.name or ""]
        for column, atom in enumerate(_atoms(value, formulas)):
            cell = array[..., column] if array.ndim > 1 else array
            same.setdefault(atom.of, []).append((atom, cell))
    for cells in same.values():
        if len(cells) > 1:
            _decide(cells, rng)


def every(values: Iterable[ir.Value], formulas: Formulas) -> Iterator[dict[str, Array]]:
    """All decisions that can be made, batch by batch, with a row for each that a row can get.

    Nothing if there are too many.
    """
    atoms = {value: _atoms(value, formulas) for value in values}
    of_rows = bounds(a for value, found in atoms.items() if is_batched(value) for a in found)
    of_all = bounds(a for value, found in atoms.items() if not is_batched(value) for a in found)
    rows, batches = (list(_cases(variables)) for variables in (of_rows, of_all))
    for batch in batches if 0 < len(rows) * len(batches) <= CASES else []:
        yield {
            value.name or "": _told(value, found, rows, of_rows)
            if is_batched(value)
            else _told(value, found, [batch], of_all)[0]
            for value, found in atoms.items()
        }


def _cases(variables: Bounds) -> Iterator[dict[Hashable, Case]]:
    choices = [places(limits) for limits in variables.values()]
    if math.prod(map(len, choices)) <= CASES:
        for chosen in itertools.product(*choices):
            yield dict(zip(variables, chosen, strict=True))


def _told(
    value: ir.Value, atoms: list[Atom], cases: list[dict[Hashable, Case]], variables: Bounds
) -> Array:
    """What is decided in some cases: bool [cases], or [cases, columns]."""
    truth = np.array([[holds(a, case, variables) for a in atoms] for case in cases], bool)
    return truth if value.shape is not None and value.shape.rank() > 1 else truth[:, 0]


def _atoms(value: ir.Value, formulas: Formulas) -> list[Atom]:
    """What a decision is, column by column: a flag, or a number that is compared."""
    (width,) = dims(value) if value.shape is not None and value.shape.rank() > 1 else (1,)
    found = [formulas.of(value, column) for column in range(width)]
    return [atom for atom in found if not isinstance(atom, Logic)]  # a source is made of no others


def _decide(same: list[tuple[Atom, Array]], rng: np.random.Generator) -> None:
    """Fills in what is decided of one flag, or of where one number lies."""
    (first, like), *_ = same
    variables = bounds(atom for atom, _ in same)
    choices: list[Case] = places(variables[first.of])
    chosen = rng.integers(len(choices), size=like.shape)
    for atom, cell in same:
        truth = np.array([holds(atom, {atom.of: case}, variables) for case in choices])
        cell[...] = truth[np.broadcast_to(chosen, cell.shape)]
