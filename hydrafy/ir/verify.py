"""The verifier: what must hold of a program in each of its stages, checked after every pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import onnx_ir as ir

from hydrafy.errors import VerifyError
from hydrafy.ir import ops
from hydrafy.ir.titles import title

if TYPE_CHECKING:
    from hydrafy.ir.program import Program

BATCH = "N"
"""The first dimension of all that a static program computes from its images."""

OWN = ("com.microsoft", "com.microsoft.nchwc")
"""The domains of onnxruntime's own ops, which a program lowered for one machine may call."""


def verify(program: Program, by: str) -> None:
    """Checks a program in the stage that its manifest names.

    Args:
        program: what to check.
        by: who made it, for the message.

    Raises:
        VerifyError: naming `by`, the node and what is wrong with it.
    """
    for fault in faults(program):
        raise VerifyError(f"after {by}: {fault}")


def faults(program: Program) -> Iterator[str]:
    """Each broken invariant as a clause, lazily."""
    typed, shaped = program.stage != "source", program.stage not in ("source", "lowered")
    yield from _structure(program.graph, set(), set(), typed=typed, shaped=shaped)
    yield from _interface(program)
    if program.stage in ("static", "dynamic"):
        yield from _vocabulary(program)
    if program.stage == "static":
        yield from _batch(program)
    if program.stage == "dynamic":
        yield from _selects(program.graph)
    if program.stage == "lowered":
        yield from _only_standard(program)


def _structure(
    graph: ir.Graph, outer: set[ir.Value], names: set[str], *, typed: bool, shaped: bool
) -> Iterator[str]:
    known = outer | set(graph.inputs) | set(graph.initializers.values())
    for value in {*graph.inputs, *graph.initializers.values()}:
        yield from _name(value, names)
    for node in graph:
        for read in node.inputs:
            if read is not None and read not in known:
                yield f"{title(node)} reads {read.name!r} before it is computed"
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                yield from _structure(
                    attribute.as_graph(), known, names, typed=typed, shaped=shaped
                )
        for value in node.outputs:
            yield from _name(value, names)
            if typed and value.uses() and value.dtype in (None, ir.DataType.UNDEFINED):
                yield f"value {value.name!r} of {title(node)} has no type"
            if shaped and value.uses() and value.shape is None:
                yield f"value {value.name!r} of {title(node)} has no shape"
        known |= set(node.outputs)
    for value in graph.outputs:
        if value not in known:
            yield f"output {value.name!r} is computed nowhere"


def _name(value: ir.Value, names: set[str]) -> Iterator[str]:
    if not value.name:
        if value.uses():
            yield "a value has no name"
        return
    if value.name in names:
        yield f"two values are named {value.name!r}"
    names.add(value.name)


def _interface(program: Program) -> Iterator[str]:
    outputs = {v.name for v in program.graph.outputs}
    for output in program.manifest.outputs:
        if output.name not in outputs:
            yield f"the manifest lists output {output.name!r}, which the graph has not"
    inputs = {v.name for v in program.graph.inputs}
    for entry in program.manifest.runtime_inputs:
        if entry.name not in inputs or entry.name not in program.graph.initializers:
            yield f"run-time input {entry.name!r} must be both a graph input and an initializer"
    for term in program.manifest.losses:
        if term.output not in outputs:
            yield f"loss term {term.name!r} reads {term.output!r}, which is no output"


def _vocabulary(program: Program) -> Iterator[str]:
    standard = ops.STANDARD | (ops.QUANTISED if program.manifest.precision == "int8" else set())
    for node in program.graph:
        known = ops.names() if node.domain == ops.DOMAIN else standard
        if node.op_type not in known or node.domain not in ("", ops.DOMAIN):
            yield f"{title(node)} is a {node.domain}::{node.op_type}, an unknown op"
        elif node.domain == ops.DOMAIN and _lacks_inputs(node):
            yield f"{node.op_type} {node.name!r} lacks an input, or has too many"
        if (
            program.stage == "static"
            and node.domain == ops.DOMAIN
            and node.op_type not in ops.MARKERS
        ):
            yield f"{title(node)} is a {node.op_type}: a static program has none"


def _batch(program: Program) -> Iterator[str]:
    images = set(program.data_inputs)
    for node in program.graph:
        if images.isdisjoint(node.inputs):
            continue
        images.update(node.outputs)
        for value in node.outputs:
            if value.shape is not None and list(value.shape)[:1] != [BATCH]:
                yield f"{title(node)} makes {value.shape} of the images, not a row for each"


def _lacks_inputs(node: ir.Node) -> bool:
    return len(node.inputs) != ops.arity(node.op_type) or None in node.inputs


def _selects(graph: ir.Graph) -> Iterator[str]:
    for node in graph:
        if not ops.is_select(node):
            continue
        pred, a, b = node.inputs
        assert pred is not None and a is not None and b is not None  # of the vocabulary
        if pred.dtype != ir.DataType.BOOL or pred.shape is None or pred.shape.rank() > 1:
            yield f"the predicate of Select {node.name!r} is not bool [N] or []"
        if a.shape != node.outputs[0].shape:
            yield f"Select {node.name!r} has the shape {node.outputs[0].shape}, its a {a.shape}"
        gradient = attribute(node, "gradient", "none")
        if gradient not in ("none", "straight_through"):
            yield f"Select {node.name!r} has gradient={gradient}"


def attribute(node: ir.Node, name: str, default: str) -> str:
    """A string attribute of a node, or the default its op gives it."""
    return node.attributes[name].as_string() if name in node.attributes else default


def _only_standard(program: Program) -> Iterator[str]:
    known = ("", *OWN) if program.manifest.target == "native" else ("",)
    for node in program.graph.all_nodes():
        if node.domain not in known:
            yield f"{title(node)} of domain {node.domain!r} survived the lowering"
    for output in program.manifest.outputs:
        if output.role == "training":
            yield f"the training output {output.name!r} survived the lowering"
