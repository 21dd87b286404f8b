"""A user's own change to a network, written against onnx-graphsurgeon, as a pass."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hydrafy.errors import HydrafyError, ModelError, first_line
from hydrafy.ir import surgeon
from hydrafy.ir.files import from_proto
from hydrafy.ir.manifest import Output
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass

if TYPE_CHECKING:
    import onnx_graphsurgeon

Change = Callable[["onnx_graphsurgeon.Graph"], "onnx_graphsurgeon.Graph | None"]
"""Changes a graph in place, or returns another one."""


@dataclass(frozen=True)
class Surgery(Pass):
    """Runs a function over the network as a graphsurgeon graph, and takes over what it made.

    What the library would drop, the manifest and the metadata, stays with the program.
    """

    change: Change
    name: ClassVar[str] = "surgery"

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: the function fails, returns no graph, or leaves a malformed one; or the
                program cannot be a graphsurgeon graph.
        """
        title = getattr(self.change, "__name__", type(self.change).__name__)
        graph = program.to_graphsurgeon()
        try:
            made = self.change(graph)
        except HydrafyError:
            raise
        except Exception as error:  # the user's code: it may raise anything
            kind = type(error).__name__
            raise ModelError(f"the change {title} failed: {kind}: {first_line(error)}") from error
        graph = graph if made is None else made
        if not surgeon.is_graph(graph):
            raise ModelError(
                f"the change {title} returned a {type(graph).__name__}: "
                "return a graphsurgeon graph, or nothing"
            )
        try:
            model = from_proto(surgeon.from_graph(graph))
        except HydrafyError as error:
            raise ModelError(f"after the change {title}: {error}") from error
        model.metadata_props.update(program.model.metadata_props)
        names = [value.name or "" for value in model.graph.outputs]
        outputs = tuple(Output(name, program.manifest.role(name)) for name in names)
        program.manifest = dataclasses.replace(program.manifest, outputs=outputs)
        program.model = model
        return [f"{title} changed the network"]
