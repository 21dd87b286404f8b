"""Probes: images, and decisions that lead images through both sides of every predicate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.predication.formulas import Formulas
from hydrafy.analysis.predication.needed import needed
from hydrafy.analysis.predication.picks import picks
from hydrafy.analysis.predication.sources import predicates, sources
from hydrafy.analysis.rows import is_batched
from hydrafy.errors import VerifyError
from hydrafy.ir.ops import is_select
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes import base
from hydrafy.passes.cut import Cut
from hydrafy.runtime.verify.compare import Array, Feeds, Form
from hydrafy.runtime.verify.possible import every, settle, sides

TRIALS = 200  # of random decisions, until every side was reached
EACH = 8  # rows in a trial

Side = tuple[str, bool]


def images(program: Program, count: int, rng: np.random.Generator) -> Feeds:
    """Random images for a program's data input: standard normal, float32 [count, C, H, W]."""
    source = program.data_inputs[0]
    shape = (count, *dims(source))
    return {source.name or "": rng.standard_normal(shape).astype(np.float32)}


@dataclass(frozen=True, eq=False)
class Probe:
    """Decisions for some rows.

    Attributes:
        rows: what is decided for each row: bool [count, ...], by the names of sources.
        whole: what is decided for a whole batch.
        count: of the rows.
    """

    rows: Feeds
    whole: Feeds
    count: int

    def take(self, rows: Iterable[int]) -> Probe:
        """These rows, in this order."""
        order = np.array(list(rows), np.int64)
        return Probe({k: v[order] for k, v in self.rows.items()}, self.whole, len(order))

    @property
    def feeds(self) -> Feeds:
        """All decisions, by name."""
        return {**self.rows, **self.whole}


class Predicates:
    """The predicates of a dynamic program, from its sources.

    Attributes:
        names: theirs.
        defaults: the values of sources that a caller need not give.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        given = [v.name or "" for v in sources(program)]
        defaults = [name for name in given if name in program.graph.initializers]
        self.defaults = {name: program.weight(name) for name in defaults}
        self.names = [v.name or "" for v in predicates(program)]
        made = tuple(v.name or "" for v in sources(program) if v.producer() is not None)
        derived = tuple(name for name in self.names if name not in given)
        logic = base.run(program.clone(), [Cut(made, derived)]) if derived else None
        self._logic = Form.of(logic) if logic is not None else None

    def held(self, decided: Mapping[str, Array]) -> Feeds:
        """Each predicate, bool [N] or []."""
        derived = self._logic.session.run(self._taken(decided)) if self._logic else {}
        return {name: {**decided, **derived}[name] for name in self.names}

    def reached(self, probe: Probe) -> list[set[Side]]:
        """The predicates that each row depends on, and on which side it is of them."""
        held = self.held(probe.feeds)
        need = needed(self.program, held, probe.count)
        found: list[set[Side]] = [set() for _ in range(probe.count)]
        for node in filter(is_select, self.program.graph):
            pred, out = node.inputs[0], node.outputs[0]
            assert pred is not None
            name = pred.name or ""
            for row in np.flatnonzero(need.get(out, False)):
                found[row].add((name, bool(held[name][row] if held[name].ndim else held[name])))
        return found

    def _taken(self, decided: Mapping[str, Array]) -> Feeds:
        assert self._logic is not None
        taken = {v.name for v in self._logic.program.graph.inputs}
        return {k: v for k, v in decided.items() if k in taken}


def probes(program: Program, rng: np.random.Generator) -> list[Probe]:
    """Probes that together reach both sides of every predicate, with rows that depend on it.

    A side that no row can need, because of what predicates say about each other, is none.

    Two rows of one batch do, at least: with one, nobody would see two that are exchanged.

    Raises:
        VerifyError: no decisions were found that reach some side; it is named.
    """
    known = Predicates(program)
    missing, formulas = sides(program), Formulas(program.graph)
    values = dict.fromkeys([*sources(program), *filter(_is_bool, program.data_inputs)])
    found = []
    for trial in range(TRIALS):
        if trial and not missing:
            break
        probe = _random(values, trial, rng)
        settle(values, probe.feeds, formulas, rng)
        reached = known.reached(probe)
        useful = [r for r in range(probe.count) if missing & reached[r] or not trial]
        if useful:
            new = missing & set().union(*(reached[r] for r in useful))
            found.append(probe.take(_twice(useful, reached, new)))
            missing -= new
    missing &= _reachable(known, values, formulas, missing)
    if missing:
        listed = ", ".join(f"{name} ({str(side).lower()})" for name, side in sorted(missing))
        raise VerifyError(f"no probe reached both sides of {listed}: the file is not proven")
    return found


def _reachable(
    known: Predicates, values: Iterable[ir.Value], formulas: Formulas, missing: set[Side]
) -> set[Side]:
    """Those of some sides that a row can need, whatever is decided; all if there is too much."""
    cases = list(every(values, formulas)) if missing else []
    if not cases:
        return missing
    found: set[Side] = set()
    for decided in cases:
        rows = {v.name or "": decided[v.name or ""] for v in values if is_batched(v)}
        whole = {name: array for name, array in decided.items() if name not in rows}
        count = len(next(iter(rows.values()))) if rows else 1
        found = found.union(*known.reached(Probe(rows, whole, count)))
    return found


def _twice(rows: list[int], sides: list[set[Side]], new: set[Side]) -> list[int]:
    """The rows, and some of them again, until two are on each of some sides."""
    chosen = list(rows)
    for side in sorted(new):
        mine = [r for r in chosen if side in sides[r]]
        chosen += mine[:1] if len(mine) == 1 else []
    return chosen


def _random(values: Iterable[ir.Value], trial: int, rng: np.random.Generator) -> Probe:
    """Random decisions; the first ones and their opposites, all, and nothing.

    Where one column holds in any case, the next ones go through all of them, which chance would
    take much longer for.
    """
    rows, whole = {}, {}
    density = (0.5, 0.1, 0.9)[trial % 3]
    for value in values:
        name, turns, start = value.name or "", _turns(value), EACH * (trial - 1)
        if not is_batched(value):
            whole[name] = np.full(_fixed(value), trial == 0 or (trial > 1 and rng.random() < 0.5))
        elif 0 <= start < turns:
            rows[name] = np.eye(turns, dtype=bool)[np.arange(start, start + EACH) % turns]
        elif trial:
            rows[name] = rng.random((EACH, *dims(value))) < density
        else:
            one = rng.random((1, *dims(value))) < 0.5
            rows[name] = np.concatenate([one, ~one, np.ones_like(one), np.zeros_like(one)])
    return Probe(rows, whole, EACH if trial else 4)


def _turns(value: ir.Value) -> int:
    """The columns of a decision of which exactly one holds; 0 of any other one."""
    limits = picks(value)
    return dims(value)[0] if limits is not None and limits.exactly_one else 0


def _is_bool(value: ir.Value) -> bool:
    return value.dtype == ir.DataType.BOOL


def _fixed(value: ir.Value) -> tuple[int, ...]:
    return tuple(d for d in value.shape or () if isinstance(d, int))
