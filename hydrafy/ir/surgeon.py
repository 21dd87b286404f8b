"""onnx-graphsurgeon at the boundary: models as its graphs, and its graphs as models.

The library is imported only where a caller brings one of its graphs or asks for one. It keeps
neither a model's metadata nor initializers that are inputs too.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeGuard

import onnx

from hydrafy.errors import ModelError, first_line

if TYPE_CHECKING:
    import onnx_graphsurgeon


def is_graph(source: object) -> TypeGuard[onnx_graphsurgeon.Graph]:
    """Whether something is a graph of onnx-graphsurgeon; who has one has imported the library."""
    library = sys.modules.get("onnx_graphsurgeon")
    return library is not None and isinstance(source, library.Graph)


def to_graph(model: onnx.ModelProto) -> onnx_graphsurgeon.Graph:
    """A model as a graph, which holds the model's tensors."""
    import onnx_graphsurgeon

    return onnx_graphsurgeon.import_onnx(model)


def from_graph(graph: onnx_graphsurgeon.Graph) -> onnx.ModelProto:
    """A graph as a model that is independent of it.

    Raises:
        ModelError: the library cannot export the graph.
    """
    import onnx_graphsurgeon

    model = onnx.ModelProto()
    try:  # the library's exporter raises whatever its parts raise
        model.CopyFrom(onnx_graphsurgeon.export_onnx(graph))
    except Exception as error:
        raise ModelError(
            f"onnx-graphsurgeon cannot export the graph: {first_line(error)}"
        ) from error
    return model
