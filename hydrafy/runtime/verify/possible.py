"""What can be decided together, where decisions say something about each other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.predication.formulas import Compared, Flag, Formulas, Logic
from hydrafy.analysis.predication.implications import (
    CASES,
    Bounds,
    Case,
    bounds,
    holds,
    known,
    places,
)
from hydrafy.analysis.predication.picks import Picks, picks
from hydrafy.analysis.predication.places import Places
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

    What is computed alike is decided alike, a number that is compared more than once lies
    somewhere, and a gate that picks columns picks as many as it can.

    Args:
        values: what is decided, bool [], [N] or [N, columns].
        decided: for each of them, by name.
        formulas: of the program.
        rng: says where the numbers lie, and what is picked.
    """
    same: dict[Hashable, list[tuple[Atom, Array]]] = {}
    alike: dict[Hashable, tuple[Picks, list[Array]]] = {}
    for value in values:
        array, atoms, limits = decided[value.name or ""], _atoms(value, formulas), picks(value)
        if limits is not None:
            alike.setdefault(tuple(atoms), (limits, []))[1].append(array)
            continue
        for column, atom in enumerate(atoms):
            cell = array[..., column] if array.ndim > 1 else array
            same.setdefault(atom.of, []).append((atom, cell))
    for cells in same.values():
        if len(cells) > 1:
            _decide(cells, rng)
    for limits, arrays in alike.values():
        chosen = limits.bring(arrays[0], rng)
        for array in arrays:
            array[...] = chosen


def every(values: Iterable[ir.Value], formulas: Formulas) -> Iterator[dict[str, Array]]:
    """All decisions that can be made, batch by batch, with a row for each that a row can get.

    Nothing if there are too many.
    """
    atoms = {value: _atoms(value, formulas) for value in values}
    of_rows = bounds(a for value, found in atoms.items() if is_batched(value) for a in found)
    of_all = bounds(a for value, found in atoms.items() if not is_batched(value) for a in found)
    gates = {
        tuple(atom.of for atom in found): limits
        for value, found in atoms.items()
        if (limits := picks(value)) is not None
    }
    rows, batches = list(_cases(of_rows, gates)), list(_cases(of_all, {}))
    for batch in batches if 0 < len(rows) * len(batches) <= CASES else []:
        yield {
            value.name or "": _told(value, found, rows, of_rows)
            if is_batched(value)
            else _told(value, found, [batch], of_all)[0]
            for value, found in atoms.items()
        }


def _cases(
    variables: Bounds, gates: Mapping[tuple[Hashable, ...], Picks]
) -> Iterator[dict[Hashable, Case]]:
    """All cases of some variables, of which those of a gate depend on each other."""
    tied = {of for columns in gates for of in columns}
    free = {of: places(limits) for of, limits in variables.items() if of not in tied}
    count = math.prod(map(len, free.values()))
    count *= math.prod(limits.count(len(columns)) for columns, limits in gates.items())
    if count > CASES:
        return
    picked = (limits.every(len(columns)) for columns, limits in gates.items())
    keys = [*((of,) for of in free), *gates]
    for chosen in itertools.product(*map(zip, free.values()), *picked):
        found = zip(keys, chosen, strict=True)
        yield {of: case for names, cases in found for of, case in zip(names, cases, strict=True)}


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
