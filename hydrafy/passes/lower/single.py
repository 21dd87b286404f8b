"""Fixes the batch at one image, of which each predicate is a plain condition."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.analysis.rows import is_batched
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class FixBatch(Pass):
    """The first dimension of every batched value becomes 1, but those of run-time inputs."""

    name: ClassVar[str] = "fix-batch"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        values = [v for node in program.graph.all_nodes() for v in node.outputs]
        for value in (*program.data_inputs, *values):
            if is_batched(value) and value.shape is not None:
                value.shape = ir.Shape([1, *list(value.shape)[1:]])
        return ["batches are of one image"]
