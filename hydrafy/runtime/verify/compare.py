"""What two forms of a network computed, side by side: the first difference, and the largest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.runtime.verify.rows import Rows

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]
Feeds = dict[str, Array]

TOLERANCE = 1e-4
"""Of an output's scale, float32; also how far rounding may move a score."""

HALF = 5e-2
"""The same where weights are float16, whose roundings of 2**-11 add up over the layers: with random
weights 0.0005 was measured for ResNet-20 and 0.018 for ResNet-50, both with gates."""

BYTES = 0.25
"""The same where numbers are bytes, steps of 1/255 of the range: 0.025 was measured for ResNet-20.
Whether such a network is any good is a question of its accuracy; this finds other networks."""


@dataclass(frozen=True, eq=False)
class Form:
    """A program and its session; it is fed with those arrays that it takes."""

    program: Program
    session: Rows

    @staticmethod
    def of(program: Program) -> Form:
        """Loads a program."""
        return Form(program, Rows(Session(program)))

    def run(self, feeds: Arrays) -> Feeds:
        """All outputs; of an empty batch some forms say nothing, for they may be unable to run."""
        unable = self.program.stage == "dynamic" or self.session.fixed
        if unable and not len(feeds[_images(self.program)]):
            return _nothing(self.program)
        taken = {v.name for v in self.program.graph.inputs}
        return self.session.run({k: v for k, v in feeds.items() if k in taken})


@dataclass(frozen=True)
class Difference:
    """An output that differs: its name, and a clause that says by how much."""

    output: str
    clause: str


def tolerance(*programs: Program) -> float:
    """How much outputs may differ, as a share of their scale, given how programs hold numbers."""
    nodes = [node for program in programs for node in program.graph.all_nodes()]
    if any(node.op_type in ("QuantizeLinear", "QLinearConv", "ConvInteger") for node in nodes):
        return BYTES
    read = (v for node in nodes for v in node.inputs if v is not None)
    half = any(v.dtype == ir.DataType.FLOAT16 for v in read)
    return HALF if half else TOLERANCE


LEAST = 1e-6
"""The scale of numbers that are all smaller."""


def compare(
    wanted: Arrays, found: Arrays, limit: float, least: float = LEAST
) -> tuple[float, Difference | None]:
    """The largest difference of numbers over their scale, and the first output over the limit.

    Bools are left to those who know where they matter. The scale is `least` at least.
    """
    worst = 0.0
    for name, array in wanted.items():
        other = found[name]
        if array.shape != other.shape:
            return np.inf, Difference(name, f"has the shape {other.shape}, not {array.shape}")
        if not array.size or array.dtype == bool:
            continue
        scale = max(float(np.abs(array).max()), least)
        difference = float(np.abs(array - other.astype(array.dtype)).max()) / scale
        if not difference <= limit:  # NaN, too
            clause = (
                f"differs by {difference:.1e} of its scale "
                f"(batch {len(array)}; {limit:.0e} is allowed)"
            )
            return difference, Difference(name, clause)
        worst = max(worst, difference)
    return worst, None


def _images(program: Program) -> str:
    return program.data_inputs[0].name or ""


def _nothing(program: Program) -> Feeds:
    arrays = {}
    for value in program.graph.outputs:
        assert value.dtype is not None
        arrays[value.name or ""] = np.zeros((0, *dims(value)), value.dtype.numpy())
    return arrays
