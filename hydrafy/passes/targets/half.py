"""Stores and computes a lowered network in float16, its gates in float32."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.analysis.predication.predicting import predicting
from hydrafy.errors import ModelError
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.ir.values import is_constant
from hydrafy.passes.base import Pass

SINGLE, HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16


@dataclass(frozen=True)
class HalfPrecision(Pass):
    """What predicts computes in float16; what decides, inputs and outputs stay float32.

    onnxruntime's own converter rounds what lies between nodes that it is told to leave alone, and
    knows no input that has a default.
    """

    name: ClassVar[str] = "half-precision"

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: a weight is too large for float16.
        """
        network = {node for node in predicting(program) if not _adds_up(node)}
        nodes = list(program.graph.all_nodes())
        for node in nodes:
            if node in network:
                _compute_in_half(node)
        casts: dict[ir.Value, ir.Value] = {}
        for node in nodes:
            wanted = HALF if node in network else SINGLE
            for place, value in enumerate(node.inputs):
                if value is not None and value.dtype in (SINGLE, HALF) and value.dtype != wanted:
                    given = casts.setdefault(value, value)
                    if given is value:
                        given = casts[value] = _cast(program.graph, value, wanted, network)
                    node.replace_input_with(place, given)
        _return_as_stated(program.graph, network)
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        program.manifest = dataclasses.replace(program.manifest, precision="float16")
        return [f"{len(network)} nodes of {len(nodes)} compute in float16"]


def _adds_up(node: ir.Node) -> bool:
    """Whether a node adds rows to others: onnxruntime's processor code has no such for float16."""
    return node.op_type == "ScatterND" and node.attributes.get_string("reduction", "none") != "none"


def _compute_in_half(node: ir.Node) -> None:
    """Lets a node's results be float16, where its attributes say what they are."""
    for value in node.outputs:
        if value.dtype == SINGLE:
            value.type = ir.TensorType(HALF)
    if node.op_type == "Cast":
        node.attributes["to"] = ir.AttrInt64("to", int(HALF))
    held = node.attributes.get("value")
    if held is not None and held.type == ir.AttributeType.TENSOR:
        node.attributes["value"] = ir.AttrTensor("value", _rounded(held.as_tensor(), node.name))


def _cast(main: ir.Graph, value: ir.Value, wanted: ir.DataType, network: set[ir.Node]) -> ir.Value:
    """The value in the other precision: a weight is rounded once and for all."""
    graph = value.graph or main
    if is_constant(value) and wanted == HALF:
        assert value.const_value is not None
        rounded = _rounded(value.const_value, value.name)
        if all(user in network for user in value.consumers()) and not value.is_graph_output():
            value.const_value, value.type = rounded, ir.TensorType(HALF)
            return value
        return build.weight(graph, f"{value.name}.half", rounded.numpy())
    suffix = "half" if wanted == HALF else "single"
    node = ir.node("Cast", [value], {"to": int(wanted)}, name=f"{value.name}.{suffix}")
    out = node.outputs[0]
    out.name, out.type, out.shape = node.name, ir.TensorType(wanted), value.shape
    producer = value.producer()
    if producer is not None:
        graph.insert_after(producer, node)
    else:
        graph.insert_before(graph[0], node)
    return out


def _return_as_stated(main: ir.Graph, network: set[ir.Node]) -> None:
    """The outputs of the network stay float32; what its regions return is float16."""
    for place, value in enumerate(main.outputs):
        if value.dtype == HALF:
            name, value.name = value.name, f"{value.name}.rounded"
            out = _cast(main, value, SINGLE, network)
            out.name, main.outputs[place] = name, out
    attributes = [attribute for node in network for attribute in node.attributes.values()]
    for attribute in attributes:
        if attribute.type != ir.AttributeType.GRAPH:
            continue
        region = attribute.as_graph()
        for place, value in enumerate(region.outputs):
            if value.dtype == SINGLE:
                region.outputs[place] = _cast(main, value, HALF, network)


def _rounded(tensor: ir.TensorProtocol, name: str | None) -> ir.TensorProtocol:
    with np.errstate(over="ignore"):
        array = tensor.numpy().astype(np.float16)
    if not np.isfinite(array).all():
        raise ModelError(
            f"weight {name!r} holds numbers over 65504, which float16 has not: "
            "lower the network in float32"
        )
    return ir.tensor(array, name=tensor.name)
