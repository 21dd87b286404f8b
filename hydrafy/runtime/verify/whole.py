"""The whole: images in, and a decision may differ only because rounding moved a score."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hydrafy.analysis.predication.needed import needed
from hydrafy.errors import VerifyError
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.cut import Cut
from hydrafy.runtime.verify.blame import blame
from hydrafy.runtime.verify.compare import Array, Arrays, Feeds, Form, compare
from hydrafy.runtime.verify.decisions import check_decisions, unlike
from hydrafy.runtime.verify.gates import Gate
from hydrafy.runtime.verify.probes import Predicates


@dataclass(frozen=True, eq=False)
class Whole:
    """Both forms, ready to take images.

    Attributes:
        source: the dense form as it is.
        known: its predicates.
        gates: of its gates those whose decisions the other form tells.
        dense: the dense form, with the decisions of these gates given.
        other: the other form; scores that it computes for all rows are outputs, too.
    """

    source: Program
    known: Predicates
    gates: list[Gate]
    dense: Form
    other: Form

    @staticmethod
    def of(source: Program, other: Program, gates: list[Gate]) -> Whole:
        """Prepares two forms of a dynamic network."""
        told = [gate for gate in gates if gate.decision in other.values()]
        known = Predicates(source)
        outputs = [v.name or "" for v in source.graph.outputs]
        scores = [gate.scores for gate in told]
        decisions = tuple(gate.decision for gate in told)
        return Whole(
            source,
            known,
            told,
            _watched(source, [*outputs, *known.names, *scores], decisions),
            _watched(other, [*outputs, *decisions, *scores]),
        )

    def compare(self, feeds: Feeds, count: int, limit: float) -> tuple[float, Array]:
        """The largest difference of outputs, and for which rows rounding flipped a decision.

        Args:
            feeds: images and run-time inputs.
            count: of the images.
            limit: as `compare` takes it.

        Raises:
            VerifyError: an output differs, or a decision does for another reason.
        """
        found = self.other.run(feeds)
        given = {gate.decision: found[gate.decision] for gate in self.gates}
        wanted = self.dense.run({**feeds, **given})
        held = {**self.known.defaults, **feeds, **given, **wanted}
        need = needed(self.source, {name: held[name] for name in self.known.names}, count)
        rows = {v.name or "": n for v, n in need.items()}
        flipped = np.zeros(count, bool)
        for gate in self.gates:
            matters = rows.get(gate.decision, np.zeros(count, bool))
            self._scores(gate, wanted, found, matters, limit)
            own = gate.decide(wanted[gate.scores], feeds)
            flips = unlike(own, found[gate.decision], matters)
            if flips.any():
                _explain(gate, wanted[gate.scores], given[gate.decision], flips, feeds, limit)
            flipped |= flips
        role = self.source.manifest.role
        told = {v.name for v in self.source.graph.outputs}
        for name, array in wanted.items():
            if name in told and role(name) == "decision":
                check_decisions(name, array, found[name], rows.get(name))
        outputs = {name: wanted[name] for name in self.dense.session.outputs if name in found}
        predictions = {
            name: a for name, a in outputs.items() if name in told and role(name) == "prediction"
        }
        worst, difference = compare(predictions, found, limit)
        if difference is not None:
            dense = {**feeds, **given}
            where = blame(self.dense.program, dense, self.other.program, feeds, limit)
            raise VerifyError(f"output {difference.output!r} {difference.clause}{where}")
        return worst, flipped

    def _scores(
        self, gate: Gate, wanted: Arrays, found: Arrays, matters: Array, limit: float
    ) -> None:
        """Scores that the other form tells for all rows must agree where they matter."""
        name = gate.scores
        if name not in found or len(found[name]) != len(matters):
            return
        ours, theirs = wanted[name][matters], found[name][matters]
        difference = compare({name: ours}, {name: theirs}, limit, gate.unit)[1]
        if difference is not None:
            raise VerifyError(f"score {name!r} {difference.clause}")


def _watched(program: Program, names: Iterable[str], given: tuple[str, ...] = ()) -> Form:
    """The program with these outputs, where it computes them; what is given is an input."""
    computed = {v.name for node in program.graph for v in node.outputs} - {*given}
    known = tuple(dict.fromkeys(name for name in names if name in computed))
    return Form.of(base.run(program.clone(), [Cut(given, known)]))


def _explain(
    gate: Gate, scores: Array, decision: Array, flips: Array, feeds: Feeds, limit: float
) -> None:
    """Raises: a decision differs from the scores' own by more than rounding explains."""
    error = limit * max(float(np.abs(scores).max()), gate.unit)
    strange = flips & ~gate.may_decide(decision, scores, feeds, error)
    if strange.any():
        raise VerifyError(
            f"the decisions {gate.decision!r} of the lowered file differ in {int(strange.sum())} "
            f"of {len(strange)} rows by more than rounding of the scores explains"
        )
