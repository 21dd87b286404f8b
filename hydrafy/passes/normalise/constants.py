"""Computes what depends on constants alone, so that weights and shapes are plain initializers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.execute.session import Session
from hydrafy.ir import build
from hydrafy.ir.manifest import Manifest
from hydrafy.ir.program import Program
from hydrafy.ir.values import is_constant
from hydrafy.passes.base import Pass

RANDOM = frozenset({
    "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
    "RandomUniformLike",
})  # fmt: skip


LARGEST = 2**29
"""Numbers that may be computed in all; VGG-19, in a file that fills its weights, has 1.4e8."""

LONGEST = 2**20
"""Integers in one value: they steer shapes and places, and ONNX's inference counts through them."""


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Lifts Constant nodes to initializers and evaluates all nodes that read nothing else.

    Inputs with a value of their own, as all weights are before IR version 4, become constants.
    Nodes that draw random numbers or hold a graph stay, and so does what would be too large: a
    small file can ask for terabytes. The others are gathered into one model and run by onnxruntime,
    again as long as what was computed tells the shape of more.
    """

    name: ClassVar[str] = "fold-constants"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        common = onnx_ir.passes.common
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(program.model)
        notes = _fixed(program.graph)
        common.RemoveInitializersFromInputsPass()(program.model)
        nodes = constants = numbers = 0
        while True:
            twins, more = _foldable(program, LARGEST - numbers)
            if not twins:
                computed = f"{nodes} nodes computed {constants} constants"
                return [*notes, computed] if nodes else notes
            nodes, numbers = nodes + len(twins), numbers + more
            constants += _fold(program, twins)


def _fixed(graph: ir.Graph) -> list[str]:
    """Says which inputs have a value of their own, and so will be constants."""
    names = [repr(v.name) for v in graph.inputs if v.is_initializer()]
    if not names:
        return []
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return [f"inputs with a value of their own are constants now: {', '.join(names[:3])}{rest}"]


def _fold(program: Program, twins: dict[ir.Node, ir.Node]) -> int:
    """Puts constants in the place of nodes, and says how many."""
    kept = [
        (v, twin)
        for node in twins
        for v, twin in zip(node.outputs, twins[node].outputs, strict=True)
        if v.is_graph_output() or any(user not in twins for user in v.consumers())
    ]
    arrays = _evaluate(program, list(twins.values()), [twin for _, twin in kept])
    for (value, _), array in zip(kept, arrays, strict=True):
        name = value.name or ""
        value.name = f"{name}.folded"
        fixed = build.weight(program.graph, name, array)
        value.replace_all_uses_with(fixed, replace_graph_outputs=True)
    program.graph.remove(twins, safe=True)
    return len(kept)


def _foldable(program: Program, room: int) -> tuple[dict[ir.Node, ir.Node], int]:
    """Copies, by their originals, of nodes that can be computed now; how many numbers they make.

    The copies read constants and each other; their shapes are inferred anew, because a file may
    declare any. A node whose result is of unknown shape, or too large for the `room`, is left.
    """
    version = program.graph.opset_imports.get("", 1)
    values: dict[ir.Value, ir.Value] = {}
    twins: dict[ir.Node, ir.Node] = {}
    used = 0
    for node in program.graph:
        inputs = [v for v in node.inputs if v is not None]
        if not is_pure(node) or not all(v in values or is_constant(v) for v in inputs):
            continue
        for value in inputs:
            if value not in values:
                values[value] = _source(value)
        twin = _twin(node, values)
        numbers = _numbers(twin, version)
        if numbers is None or used + numbers > room:
            continue
        used += numbers
        values.update(zip(node.outputs, twin.outputs, strict=True))
        twins[node] = twin
    return twins, used


def is_pure(node: ir.Node) -> bool:
    """Whether a node is of a standard op that gives the same result each time, by itself."""
    inner = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
    if node.domain != "" or any(a.type in inner for a in node.attributes.values()):
        return False
    if node.op_type == "Dropout":  # draws only in training mode
        return len(node.inputs) < 3
    return node.op_type not in RANDOM


def _source(value: ir.Value) -> ir.Value:
    tensor = value.const_value
    assert tensor is not None
    shape, kind = ir.Shape(tensor.shape.numpy()), ir.TensorType(tensor.dtype)
    return ir.Value(name=value.name, shape=shape, type=kind, const_value=tensor)


def _twin(node: ir.Node, values: Mapping[ir.Value, ir.Value]) -> ir.Node:
    twin = ir.Node(
        node.domain,
        node.op_type,
        [values[v] if v is not None else None for v in node.inputs],
        node.attributes.values(),
        num_outputs=len(node.outputs),  # and no name: onnxruntime takes none twice
    )
    for old, new in zip(node.outputs, twin.outputs, strict=True):
        new.name = old.name
    return twin


def _numbers(node: ir.Node, version: int) -> int | None:
    """How many numbers a node computes; None where its results' shapes cannot be known."""
    shapes = [v.shape for v in node.inputs if v is not None and v.shape is not None]
    if node.op_type == "Slice" and any(0 in shape for shape in shapes):
        return None  # inference may abort: see RefuseTraps
    try:
        build.infer(node, version)
    except Exception:  # ONNX's inference raises bare RuntimeErrors, and its own kinds
        return None  # the node stays, and is refused where nodes are checked
    total = 0
    for value in node.outputs:
        if not value.name:
            continue
        if value.dtype == ir.DataType.STRING or value.shape is None:
            return None
        if not all(isinstance(d, int) and d >= 0 for d in value.shape):
            return None
        size = math.prod(value.shape.numpy())
        if size > LONGEST and value.dtype == ir.DataType.INT64:
            return None
        total += size
    return total


def _evaluate(program: Program, nodes: list[ir.Node], wanted: list[ir.Value]) -> list[np.ndarray]:
    inputs = dict.fromkeys(v for node in nodes for v in node.inputs if v is not None)
    graph = ir.Graph(
        [],
        wanted,
        nodes=nodes,
        initializers=[v for v in inputs if v.const_value is not None],
        opset_imports=dict(program.graph.opset_imports),
        name="constants",
    )
    model = ir.Model(graph, ir_version=min(program.model.ir_version, 10))
    found = Session(Program(model, Manifest()), threads=1).run({})  # of any size
    return [found[v.name or ""] for v in wanted]
