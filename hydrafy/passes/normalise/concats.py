"""Writes a Concat that repeats an earlier one's inputs as one that reads the earlier result."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class ChainConcats(Pass):
    """`Concat(a, b, c)` behind `ab = Concat(a, b)` becomes `Concat(ab, c)`.

    PyTorch writes the n-th layer of a dense block as a Concat of n values. Chained, all that later
    layers read of the earlier ones is one value, a cut.
    """

    name: ClassVar[str] = "chain-concats"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        chained = 0
        known: dict[tuple[int, tuple[ir.Value | None, ...]], ir.Value] = {}
        for node in program.graph:
            if node.op_type != "Concat" or node.domain != "":
                continue
            axis, inputs, out = (
                node.attributes["axis"].as_int(),
                tuple(node.inputs),
                node.outputs[0],
            )
            for size in range(len(inputs) - 1, 1, -1):
                earlier = known.get((axis, inputs[:size]))
                if earlier is not None:
                    rest = inputs[size:]
                    node.resize_inputs(1 + len(rest))
                    for place, value in enumerate((earlier, *rest)):
                        node.replace_input_with(place, value)
                    chained += 1
                    break
            known[axis, inputs] = out
        return [f"{chained} Concats read an earlier one's result"] if chained else []
