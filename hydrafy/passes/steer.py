"""Takes the decisions of a network from its caller, and still computes its own: for timing."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class SteerDecisions(Pass):
    """Each output with the role `decision` becomes an input of the same name, which is obeyed.

    What the gates say stays an output, with `.own` behind its name: all of their work is done.
    """

    name: ClassVar[str] = "steer-decisions"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, manifest = program.graph, program.manifest
        steered = set[str]()
        for place, value in enumerate(list(graph.outputs)):
            name = value.name or ""
            if manifest.role(name) != "decision":
                continue
            value.name = f"{name}.own"
            given = ir.Value(name=name, shape=value.shape, type=value.type)
            graph.inputs.append(given)
            value.replace_all_uses_with(given, replace_graph_outputs=True)
            graph.outputs[place] = value
            steered.add(name)
        outputs = (
            dataclasses.replace(o, name=f"{o.name}.own") if o.name in steered else o
            for o in manifest.outputs
        )
        program.manifest = dataclasses.replace(manifest, outputs=tuple(outputs))
        return [f"{len(steered)} decisions are inputs now"] if steered else []
