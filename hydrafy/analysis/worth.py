"""Worth: whether a region saves more than it costs, as a latency model foresees it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from hydrafy.analysis.latency import LatencyModel
from hydrafy.analysis.loads import (
    FUSED_IN,
    Load,
    captured,
    choice,
    choosing,
    dense,
    entering,
    leaving,
)
from hydrafy.analysis.predication.executed import ALWAYS, Conditions, placed
from hydrafy.analysis.predication.predicates import predicate
from hydrafy.analysis.rows import is_batched
from hydrafy.ir.program import Program

UNKNOWN = 0.5  # the share of images for which a predicate holds of which nobody says how often
BATCHES = (1, 32)  # sizes at one of which a region has to pay, in a file for any
NOTHING = frozenset({"view", FUSED_IN})


@dataclass(frozen=True)
class Worth:
    """Microseconds that a region saves and costs for a batch of some size.

    It saves what does not run, and the choice that a Select without regions is.
    """

    batch: int
    saved: float
    cost: float

    @property
    def pays(self) -> bool:
        """Whether it saves more than it costs."""
        return self.saved > self.cost

    def __str__(self) -> str:
        return f"save {self.saved:.0f} us and cost {self.cost:.0f} at batch {self.batch}"


@dataclass(frozen=True)
class Appraisal:
    """What is known of a dynamic program before any region is made.

    Attributes:
        model: what things take.
        batches: sizes of batches to judge by.
        loads: of each node, a Select counted as a choice.
        conditions: when each node runs.
        rates: how often each predicate holds, by name.
    """

    model: LatencyModel
    batches: tuple[int, ...]
    loads: Mapping[ir.Node, tuple[Load, ...]]
    conditions: Mapping[ir.Node, Conditions]
    rates: Mapping[str, float]

    @staticmethod
    def of(program: Program, model: LatencyModel) -> Appraisal:
        """Looks at a dynamic program."""
        found: dict[ir.Node, tuple[Load, ...]] = {}
        for node, load in dense(program, model.block):
            found[node] = (*found.get(node, ()), load)
        shape = program.data_inputs[0].shape
        fixed = shape[0] if shape is not None else None
        batches = (fixed,) if isinstance(fixed, int) else BATCHES
        rates = {rate.predicate: rate.share for rate in program.manifest.rates}
        return Appraisal(model, batches, found, dict(placed(program)), rates)

    def refusal(
        self, bundle: Sequence[ir.Node], side: str, inside: Collection[ir.Node]
    ) -> str | None:
        """Why a region of a Select does not pay, in a clause; None if it does.

        Args:
            bundle: a Select, or several that share their regions.
            side: `a` or `b`.
            inside: what the region would hold, nested Selects with all that is theirs.
        """
        if all(load.kind in NOTHING for node in inside for load in self.loads.get(node, ())):
            return "its region would hold nothing that takes time"
        worths = self.worths(bundle, side, inside)
        if any(worth.pays for worth in worths):
            return None
        return f"its region would {', '.join(map(str, worths))}"

    def worths(
        self, bundle: Sequence[ir.Node], side: str, inside: Collection[ir.Node]
    ) -> tuple[Worth, ...]:
        """What a region saves and costs at each batch size; see `refusal`."""
        select, outs = bundle[0], [one.outputs[0] for one in bundle]
        pred = select.inputs[0]
        assert pred is not None
        own = predicate(pred).name
        holds = self.rates.get(own, UNKNOWN)
        rate, place = holds if side == "a" else 1 - holds, self._share(select, own)
        work = [(load, self._share(n, own)) for n in inside for load in self.loads.get(n, ())]
        instead = [load for one in bundle for load in choice(one)]
        rows = is_batched(pred)
        beside = list(choosing(outs, rows=rows))
        leave = (load for out in outs for load in leaving(out))
        within = [*entering(captured(inside), rows=rows), *leave]
        spent = self.model.spent
        return tuple(
            Worth(
                size,
                sum(spent(load, s, size) - spent(load, s * rate, size) for load, s in work)
                + sum(spent(load, place, size) for load in instead),
                sum(spent(load, place, size) for load in beside)
                + sum(spent(load, place * rate, size) for load in within),
            )
            for size in self.batches
        )

    def _share(self, node: ir.Node, but: str) -> float:
        """The share of images for which a node runs, if one predicate had no say in it."""
        found = self.conditions.get(node, ALWAYS)
        rates = ((self.rates.get(c.predicate.name, UNKNOWN), c) for c in found)
        return math.prod(
            rate if c.holds else 1 - rate for rate, c in rates if c.predicate.name != but
        )
