"""Makes a program tell the moments of its inner values: a probe for calibration."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass
from hydrafy.passes.cut import Cut


@dataclass(frozen=True)
class Observe(Pass):
    """Moments of named values take the place of a program's outputs.

    The outputs are, for the value of number i, `observed.<i>.mean` and `observed.<i>.variance`,
    those of each channel over the places of each image, both [N, C, 1, 1]. The variance is that of
    the deviations from the mean: in float32 a difference of squares would lose a small one.

    Args:
        values: names of values [N, C, H, W] of the main graph.
    """

    name: ClassVar[str] = "observe"
    values: tuple[str, ...]

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, values = program.graph, program.values()
        places = build.weight(graph, "observed.places", np.array([2, 3], np.int64))
        for number, name in enumerate(self.values):
            _observe(graph, values[name], places, f"observed.{number}")
        return Cut((), tuple(n for i in range(len(self.values)) for n in moments_of(i))).apply(
            program
        )


def moments_of(number: int) -> tuple[str, str]:
    """The names of the outputs for the value of a number: mean and variance."""
    return f"observed.{number}.mean", f"observed.{number}.variance"


def _observe(graph: ir.Graph, value: ir.Value, places: ir.Value, path: str) -> None:
    mean = build.op("ReduceMean", [value, places], f"{path}.mean", keepdims=1)
    deviation = build.op("Sub", [value, mean.outputs[0]], f"{path}.deviation").outputs[0]
    squares = build.op("Mul", [deviation, deviation], f"{path}.squares").outputs[0]
    variance = build.op("ReduceMean", [squares, places], f"{path}.variance", keepdims=1)
    nodes = [mean, deviation.producer(), squares.producer(), variance]
    graph.extend(node for node in nodes if node is not None)
