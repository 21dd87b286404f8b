"""Gives thresholds a row for each sample where a gate is to lie in a region."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.analysis.predication.need import SIDES, region
from hydrafy.analysis.predication.places import Places
from hydrafy.analysis.predication.thresholds import is_threshold
from hydrafy.analysis.rows import is_batched
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes.base import Pass
from hydrafy.passes.lower.regions import Inserter


@dataclass(frozen=True)
class SpreadThresholds(Pass):
    """A gate that only some samples reach reads its threshold as `[N, columns]`.

    A threshold may be fed with one row or with one for each sample, so a region that runs on some
    rows could not tell whether to gather it. Spread out it is gathered like everything else.
    """

    name: ClassVar[str] = "spread-thresholds"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph = program.graph
        bundles = Places.of(program).bundles
        inside = {
            node
            for select, bundle in bundles.items()
            if _by_row(select)
            for node in _gates(select, bundle)
        }
        gates = [node for node in graph if node in inside]
        spread: dict[tuple[ir.Value, int], ir.Value] = {}
        for gate in gates:
            scores = gate.inputs[0]
            assert scores is not None
            (columns,) = dims(scores)
            for place, value in enumerate(gate.inputs):
                if place and value is not None and is_threshold(value):
                    key = (value, columns)
                    spread[key] = spread.get(key) or _spread(program, value, columns)
                    gate.replace_input_with(place, spread[key])
        program.manifest = dataclasses.replace(program.manifest, stage="regions")
        return [f"{v.name!r} has a row for each sample" for v, _ in spread]


def _by_row(select: ir.Node) -> bool:
    """Whether the predicate of a Select has a value for each sample."""
    pred = select.inputs[0]
    return pred is not None and is_batched(pred)


def _gates(select: ir.Node, bundle: Sequence[ir.Node]) -> list[ir.Node]:
    """The gates whose every use is through one side of Selects that share their regions."""
    inside = [node for side in SIDES for node in region(select, side, bundle=bundle)]
    return [node for node in inside if ops.is_gate(node)]


def _spread(program: Program, value: ir.Value, columns: int) -> ir.Value:
    """A threshold, broadcast to `[N, columns]` as soon as it is known."""
    source, node = program.data_inputs[0], value.producer()
    order = list(program.graph)
    first = order[0 if node is None else order.index(node) + 1]
    to = Inserter(program.graph, first, f"{value.name}.{columns}")
    rows = to.op("Expand", [value, to.batch(source, (columns,), "spread")], "spread")
    rows.shape = ir.Shape([source.shape[0] if source.shape is not None else None, columns])
    return rows
