"""Bounds: which columns of which run-time input the choices of a gate are compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from hydrafy.ir.program import Program
from hydrafy.ir.values import constant, is_constant


@dataclass(frozen=True)
class Bound:
    """A run-time input, and which of its columns holds the threshold of each choice.

    Attributes:
        name: of the run-time input.
        columns: one for each choice of the gate; a single one where all choices share it.
    """

    name: str
    columns: tuple[int, ...]

    def column(self, choice: int) -> int:
        """The one that a choice of the gate is compared with."""
        return self.columns[choice if len(self.columns) > 1 else 0]


def bound(program: Program, gate: ir.Node) -> Bound | None:
    """What a gate's scores are compared with; None where no run-time input says it.

    On the way from the run-time input columns may be gathered, and numbers changed one by one (a
    probability to log-odds); what it is compared with must not depend on images.
    """
    value, places = gate.inputs[1], list[np.ndarray]()
    while value is not None and not (value.is_graph_input() and value.is_initializer()):
        node = value.producer()
        if node is None:
            return None
        if node.op_type == "Gather":
            index = constant(node.inputs[1])
            if index is None:
                return None
            places.append(np.atleast_1d(index))
        value = next((v for v in node.inputs if v is not None and not is_constant(v)), None)
    if value is None:
        return None
    columns = np.arange(program.weight(value.name or "").shape[-1])
    for place in reversed(places):
        columns = columns[place]
    return Bound(value.name or "", tuple(columns.tolist()))
