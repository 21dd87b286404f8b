"""Checks a model before anything trusts it, and says in one sentence what is wrong with it."""

from collections.abc import Iterator
from pathlib import Path

import onnx

from hydrafy.errors import ModelError
from hydrafy.ir.check.functions import check_functions
from hydrafy.ir.check.names import check_names
from hydrafy.ir.check.nodes import check_nodes
from hydrafy.ir.check.shapes import check_shapes
from hydrafy.ir.check.tensors import check_tensor
from hydrafy.ir.check.text import check_text
from hydrafy.ir.check.versions import check_versions
from hydrafy.ir.check.walk import nested, title


def check(model: onnx.ModelProto, folder: Path | None = None) -> None:
    """Does nothing where a model holds together: a later step may then read any part of it.

    Each check may rely on those before it. Nothing is computed and no weight is copied, so that
    a small file which claims to be huge costs nothing.

    Args:
        model: what to check.
        folder: where its weights may lie; None where they must all be in the model.

    Raises:
        ModelError: the graph is malformed; the node or value is named.
        FileError: a weight is not there as a whole, or lies outside of the folder.
    """
    check_text(model)
    if not model.graph.output:
        raise ModelError("the model has no output: it is empty, or its exporter is at fault")
    check_versions(model)
    check_functions(model)
    check_names(model.graph)
    for function in model.functions:
        check_names(function)
    for tensor, what in _tensors(model):
        check_tensor(tensor, what, folder)
    for graph in nested(model.graph):
        check_shapes(graph)
    check_nodes(model)


def _tensors(model: onnx.ModelProto) -> Iterator[tuple[onnx.TensorProto, str]]:
    """Every tensor of a model, and what to call it."""
    for body in (model.graph, *model.functions):
        for graph in nested(body):
            for tensor in getattr(graph, "initializer", ()):
                yield tensor, f"weight {tensor.name!r}"
            for node in graph.node:
                for attribute in node.attribute:
                    held = [attribute.t] if attribute.HasField("t") else attribute.tensors
                    for tensor in held:
                        yield tensor, f"attribute {attribute.name!r} of {title(node)}"
