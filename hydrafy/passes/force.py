"""Takes the decisions of a network from its caller: for probes, oracles and experiments."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class ForceDecisions(Pass):
    """Each output with the role `decision` becomes an input of the same name; what made it goes."""

    name: ClassVar[str] = "force-decisions"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, manifest = program.graph, program.manifest
        forced = [v for v in graph.outputs if manifest.role(v.name or "") == "decision"]
        for value in forced:
            graph.outputs.remove(value)
            name, value.name = value.name, f"{value.name}.own"
            given = ir.Value(name=name, shape=value.shape, type=value.type)
            graph.inputs.append(given)
            value.replace_all_uses_with(given)
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        idle = {v.name for v in graph.inputs if not v.uses()} & set(graph.initializers)
        for value in [v for v in graph.inputs if v.name in idle]:
            graph.inputs.remove(value)
            del graph.initializers[value.name or ""]
        program.manifest = dataclasses.replace(
            manifest,
            outputs=tuple(o for o in manifest.outputs if o.role != "decision"),
            runtime_inputs=tuple(e for e in manifest.runtime_inputs if e.name not in idle),
        )
        return [f"{len(forced)} decisions are inputs now"] if forced else []
