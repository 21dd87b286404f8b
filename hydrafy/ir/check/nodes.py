"""Each node of a known op has the inputs, outputs and attributes that the op asks for."""

import onnx
import onnx.checker

from hydrafy.errors import ModelError, first_line
from hydrafy.ir.check.versions import STANDARD
from hydrafy.ir.check.walk import Body, nested, title

UNREAD = ("value_string", "value_strings", "sparse_value")
"""Kinds of Constants that no network here computes with."""


BY_GROUP = range(18, 21)
"""Opsets whose GroupNormalization is deprecated, for its scales; PyTorch and others wrote it."""


def check_nodes(model: onnx.ModelProto) -> None:
    """Does nothing where ONNX's own checker accepts each node; ops of other domains pass.

    Nodes are checked one by one, without their tensors and graphs: the checker takes no model over
    2 GB, and copies what it is given.

    Raises:
        ModelError: naming the node, in the checker's words.
    """
    imports = {entry.domain: entry.version for entry in model.opset_import}
    _check(model.graph, model.ir_version, imports, main=True)
    for function in model.functions:
        own = {entry.domain: entry.version for entry in function.opset_import}
        _check(function, model.ir_version, {**imports, **own}, main=False)


def _check(body: Body, version: int, imports: dict[str, int], *, main: bool) -> None:
    standard = next((imports[domain] for domain in STANDARD if domain in imports), 1)
    usual = _context(version, imports, standard)
    later = _context(version, imports, BY_GROUP.stop)  # has a GroupNormalization of the same form
    scope = onnx.checker.C.LexicalScopeContext()
    for graph in nested(body):
        for node in graph.node:
            if main and any(attribute.ref_attr_name for attribute in node.attribute):
                raise ModelError(f"{title(node)} has a function's attribute, but is in no function")
            if any(attribute.name in UNREAD for attribute in node.attribute):
                raise ModelError(f"{title(node)} is text or sparse: store it as dense numbers")
            by_group = _is_group_normalization(node) and standard in BY_GROUP
            context = later if by_group else usual
            try:
                onnx.checker.C.check_node(_light(node).SerializeToString(), context, scope)
            except onnx.checker.ValidationError as error:
                raise ModelError(f"{title(node)} is malformed: {first_line(error)}") from error


def _context(version: int, imports: dict[str, int], standard: int) -> onnx.checker.C.CheckerContext:
    context = onnx.checker.C.CheckerContext()
    context.ir_version = version
    context.opset_imports = {**imports, **dict.fromkeys(STANDARD, standard)}
    return context


def _is_group_normalization(node: onnx.NodeProto) -> bool:
    return node.op_type == "GroupNormalization" and node.domain in STANDARD


def _light(node: onnx.NodeProto) -> onnx.NodeProto:
    """A node whose tensors and graphs, which have checks of their own, are empty."""
    light = onnx.NodeProto()
    light.CopyFrom(node)
    if light.domain in STANDARD:
        light.domain = ""
    for attribute in light.attribute:
        if attribute.HasField("t"):
            attribute.t.CopyFrom(onnx.TensorProto(data_type=onnx.TensorProto.FLOAT, dims=[0]))
        if attribute.HasField("g"):
            attribute.g.CopyFrom(onnx.GraphProto(name="graph"))
        for graph in attribute.graphs:
            graph.CopyFrom(onnx.GraphProto(name="graph"))
    return light
