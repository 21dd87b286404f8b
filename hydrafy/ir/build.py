"""Adding nodes: each new value gets its type and shape at once, from ONNX's own inference."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx.defs
import onnx.shape_inference
import onnx_ir as ir

from hydrafy.errors import ModelError
from hydrafy.ir import ops
from hydrafy.ir.values import constant


def free(graph: ir.Graph, name: str) -> str:
    """The name, or where a weight, a node or a value has it, the first free one of it numbered."""
    taken = {*graph.initializers, *(node.name for node in graph)}
    taken |= {v.name for v in (*graph.inputs, *(v for node in graph for v in node.outputs))}
    numbered = (f"{name}.{number}" for number in itertools.count(1))
    return next(one for one in itertools.chain([name], numbered) if one not in taken)


def weight(graph: ir.Graph, name: str, array: np.ndarray) -> ir.Value:
    """A new initializer of `graph`."""
    if name in graph.initializers:
        raise ModelError(f"two weights would be named {name!r}")
    tensor = ir.tensor(np.asarray(array, order="C"), name=name)
    value = ir.Value(
        name=name, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape), const_value=tensor
    )
    graph.register_initializer(value)
    return value


def op(
    op_type: str,
    inputs: Sequence[ir.Value | None],
    name: str,
    *,
    domain: str = "",
    version: int = ops.OPSET,
    outputs: Sequence[str] | None = None,
    **attributes: Any,
) -> ir.Node:
    """A new node that belongs to no graph yet; its first output has the node's name."""
    node = ir.node(
        op_type, inputs, attributes, domain=domain, name=name, num_outputs=len(outputs or [name])
    )
    for value, text in zip(node.outputs, outputs or [name], strict=True):
        value.name = text
    infer(node, version)
    return node


def infer(node: ir.Node, version: int = ops.OPSET) -> None:
    """Sets the types and shapes of the node's outputs from its inputs and attributes."""
    if node.domain == ops.DOMAIN:
        like = node.inputs[1] if node.op_type == "Select" else node.inputs[0]
        assert like is not None
        out = node.outputs[0]
        out.shape = like.shape if node.op_type != "EachRow" else _each_row(node)
        out.type = ir.TensorType(ir.DataType.BOOL) if node.op_type in ops.GATES else like.type
        return
    used = [v for v in node.inputs if v is not None]
    types = {v.name or "": _type_proto(v) for v in used if v.type is not None}
    data = {
        v.name or "": ir.to_proto(v.const_value)
        for v in used
        if v.const_value is not None and v.const_value.size <= 64
    }
    schema = onnx.defs.get_schema(node.op_type, version, node.domain)
    found = onnx.shape_inference.infer_node_outputs(
        schema,
        ir.to_proto(node),
        types,
        data,
        opset_imports=[onnx.helper.make_opsetid("", version)],
    )
    for value in node.outputs:
        proto = found.get(value.name or "")
        if proto is not None:
            inferred = ir.serde.deserialize_type_proto_for_shape(proto)
            value.type = ir.serde.deserialize_type_proto_for_type(proto)
            value.shape = inferred
    if node.op_type == "Pad" and len(node.inputs) > 3:
        _keep_names(node)


def _each_row(node: ir.Node) -> ir.Shape:
    (rows, *_), (_, columns) = (v.shape for v in node.inputs if v is not None and v.shape)
    return ir.Shape([rows, columns])


def copy(
    nodes: Iterable[ir.Node],
    values: dict[ir.Value, ir.Value],
    rename: Callable[[str], str],
    *,
    version: int = ops.OPSET,
    attributes: Mapping[ir.Node, Mapping[str, Any]] | None = None,
    like: dict[ir.Node, ir.Node] | None = None,
) -> list[ir.Node]:
    """Copies nodes under new names.

    Args:
        nodes: what to copy.
        values: what the copies read instead (weights, the values that flow in), extended by each
            new output; a value that is not in it is shared with the original.
        rename: from the names of the originals to those of the copies.
        version: of the ops.
        attributes: those of some nodes that change.
        like: an earlier copy of some nodes, whose types and shapes hold for these copies too;
            extended by the others.
    """
    copies = []
    for node in nodes:
        changed = (attributes or {}).get(node, {})
        kept = [a for a in node.attributes.values() if a.name not in changed]
        twin = ir.Node(
            node.domain,
            node.op_type,
            [values.get(v, v) if v is not None else None for v in node.inputs],
            [*kept, *ir.convenience.convert_attributes(changed)],
            num_outputs=len(node.outputs),
            name=rename(node.name or node.outputs[0].name or ""),
        )
        for old, new in zip(node.outputs, twin.outputs, strict=True):
            new.name = rename(old.name or "")
            values[old] = new
        earlier = like.setdefault(node, twin) if like is not None else twin
        if earlier is twin:
            infer(twin, version)
        for old, new in zip(earlier.outputs, twin.outputs, strict=True):
            new.type, new.shape = old.type, old.shape
        copies.append(twin)
    return copies


def _keep_names(node: ir.Node) -> None:
    """ONNX's inference forgets what the dimensions are called that a Pad of other axes keeps."""
    source, axes, out = node.inputs[0], constant(node.inputs[3]), node.outputs[0]
    if source is None or source.shape is None or axes is None or out.shape is None:
        return
    padded = {int(axis) % len(out.shape) for axis in axes}
    pairs = zip(source.shape, out.shape, strict=True)
    out.shape = ir.Shape([new if i in padded else old for i, (old, new) in enumerate(pairs)])


def _type_proto(value: ir.Value) -> onnx.TypeProto:
    proto = onnx.TypeProto()
    assert value.type is not None
    ir.serde.serialize_type_into(proto, value.type)
    if value.shape is not None:
        ir.serde.serialize_shape_into(proto, value.shape)
    return proto
