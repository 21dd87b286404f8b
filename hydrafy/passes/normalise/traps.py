"""Refuses what makes ONNX's own shape inference abort the process, hang, or fill the memory."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.errors import ModelError
from hydrafy.ir.program import Program
from hydrafy.ir.titles import title
from hydrafy.ir.values import constant, is_constant
from hydrafy.passes.base import Pass
from hydrafy.passes.normalise.constants import LARGEST, LONGEST, RANDOM, is_pure

STEPS = 4  # the place of the steps among a Slice's inputs
SHAPED = {"Reshape": 1, "Expand": 1, "Tile": 1, "ConstantOfShape": 0}
"""The ops whose result's shape an input tells, and its place."""


@dataclass(frozen=True)
class RefuseTraps(Pass):
    """Changes nothing; comes between the folding of constants and the inference of shapes.

    Inference counts through lists of integers: one of 2^31 takes minutes and gigabytes. And of a
    Slice that reads an empty dimension backwards it takes `std::clamp(start, 0, -1)`, which aborts
    where the C++ library asserts (onnx 1.23); only inference would tell that it is empty.
    """

    name: ClassVar[str] = "refuse-traps"

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: naming the node.
        """
        for node in program.graph:
            if is_pure(node) and all(v is None or is_constant(v) for v in node.inputs):
                raise _refused(node, "computes from constants what is too large, or does not fit")
        for node in program.graph.all_nodes():
            for fault in _faults(node):
                raise _refused(node, fault)
        return []


def _refused(node: ir.Node, fault: str) -> ModelError:
    return ModelError(f"{title(node)} ({node.op_type}) {fault}")


def _faults(node: ir.Node) -> Iterator[str]:
    steps = _numbers(node, STEPS) if node.op_type == "Slice" else []
    if any(step < 0 for step in steps):
        yield f"reads backwards, with steps {steps}: flip images before they enter the network"
    shape = _numbers(node, SHAPED[node.op_type]) if node.op_type in SHAPED else []
    if node.op_type in RANDOM and "shape" in node.attributes:
        shape = list(node.attributes["shape"].as_ints())
    if math.prod(map(abs, shape)) > LARGEST or (len(shape) == 1 and shape[0] > LONGEST):
        yield f"makes something of the shape {shape[:9]}, which is too large"


def _numbers(node: ir.Node, place: int) -> list[int]:
    """What is known of an input that is a list."""
    array = constant(node.inputs[place]) if place < len(node.inputs) else None
    return [] if array is None else [int(number) for number in array.ravel()[:99]]
