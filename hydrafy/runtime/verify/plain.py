"""Two files of which neither is the dense reference of the other: outputs, side by side."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.predication.choices import noted_choice
from hydrafy.analysis.predication.predicates import Predicate, noted
from hydrafy.analysis.rows import is_batched
from hydrafy.errors import VerifyError
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes import base
from hydrafy.passes.force import ForceDecisions
from hydrafy.runtime.verify.compare import Array, Feeds, Form, compare
from hydrafy.runtime.verify.probes import images

ROWS = 4  # of decisions, at least: some, the opposite ones, all, and none


class Plain:
    """Both files; the second one's decisions are given to the first one, where both have some."""

    def __init__(self, one: Program, two: Program) -> None:
        self.decisions = [name for name in decisions(one) if name in decisions(two)]
        self.one, self.two = Form.of(one), Form.of(two)
        self.exclusive = {
            name
            for node in (*one.graph.all_nodes(), *two.graph.all_nodes())
            if (choice := noted_choice(node)) is not None
            for option in choice.options
            for name in option.predicate.values
        }
        self.forced = [Form.of(_forced(p, self.decisions)) for p in (one, two)]

    def compare(self, feeds: Feeds, count: int, limit: float) -> tuple[float, Array]:
        """The largest difference of outputs, and for which rows a decision differs.

        Raises:
            VerifyError: an output differs.
        """
        found = self.two.run(feeds)
        given = {name: found[name] for name in self.decisions}
        worst = _same(self.forced[0].run({**feeds, **given}), found, limit)
        flipped = np.zeros(count, bool)
        if self.decisions:
            own = self.one.run(feeds)
            for name in self.decisions:
                flipped |= (own[name] != found[name]).reshape(count, -1).any(1)
        return worst, flipped

    def flow(self, limit: float, rng: np.random.Generator) -> tuple[int, float]:
        """Gives both files decisions; the number of predicates led both ways, and the difference.

        Raises:
            VerifyError: an output differs, or a predicate of an If was not led both ways.
        """
        known = _conditions(self.one.program) | _conditions(self.two.program)
        missing = {(p.name, side) for p in known for side in (True, False)}
        worst = 0.0
        for whole in (True, False):
            feeds = self._feeds(whole, rng)
            for predicate in known:
                told = feeds.keys() >= set(predicate.values)
                held = np.unique(predicate.of(feeds)) if told else ()
                missing -= {(predicate.name, bool(side)) for side in held}
            wanted, found = (form.run(feeds) for form in self.forced)
            worst = max(worst, _same(wanted, found, limit))
        if missing:
            raise VerifyError(
                f"no probe reached both sides of {min(missing)[0]}: compare each file with the "
                "dynamic one that it was lowered from"
            )
        return len(known), worst

    def _feeds(self, whole: bool, rng: np.random.Generator) -> Feeds:
        """Images and decisions, two rows of each kind; those for a whole batch are as given."""
        program = self.two.program
        given = [v for v in program.graph.outputs if v.name in self.decisions]
        count = max([ROWS, *(dims(v)[0] for v in given if v.name in self.exclusive)])
        feeds = images(program, 2 * count, rng)
        for value in (*given, *(v for v in program.data_inputs if v.dtype == ir.DataType.BOOL)):
            name = value.name or ""
            if name in self.exclusive:
                (columns,) = dims(value)
                picked = np.eye(columns, dtype=bool)[rng.permutation(count) % columns]
                feeds[name] = np.repeat(picked, 2, axis=0)
            elif is_batched(value) or (value.shape is not None and value.shape.rank() > 1):
                feeds[name] = np.repeat(_kinds(dims(value), count, rng), 2, axis=0)
            else:
                feeds[name] = np.array(whole)
        return feeds


def _kinds(row: tuple[int, ...], count: int, rng: np.random.Generator) -> Array:
    """Rows of decisions, bool [count, *row], all of them and none among them."""
    some = rng.random((count - 3, *row)) < 0.5
    all_ = np.ones((1, *row), bool)
    return np.concatenate([some, ~some[:1], all_, ~all_])


def _same(wanted: Feeds, found: Feeds, limit: float) -> float:
    outputs = {name: array for name, array in wanted.items() if name in found}
    worst, difference = compare(outputs, found, limit)
    if difference is not None:
        raise VerifyError(f"output {difference.output!r} {difference.clause}")
    return worst


def _forced(program: Program, names: list[str]) -> Program:
    return base.run(program.clone(), [ForceDecisions(tuple(names))]) if names else program


def _conditions(program: Program) -> set[Predicate]:
    """The predicates of the Ifs of a lowered program."""
    found = set[Predicate]()
    for node in program.graph.all_nodes():
        if (condition := noted(node)) is not None:
            found.add(condition.predicate)
        if (choice := noted_choice(node)) is not None:
            found |= {option.predicate for option in choice.options}
    return found


def decisions(program: Program) -> list[str]:
    """The outputs that are decisions."""
    names = [v.name or "" for v in program.graph.outputs]
    return [name for name in names if program.manifest.role(name) == "decision"]
