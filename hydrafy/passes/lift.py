"""Lifts some nodes out of a program, from whatever depth, as a program of their own."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.ir import build
from hydrafy.ir.manifest import Output
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class Lift(Pass):
    """Leaves copies of the named nodes alone; what they read becomes inputs of any size.

    Args:
        nodes: their names, which are unique.
        inputs: the values that they read and do not compute, and what these are called as inputs.
        output: the value that is computed.
    """

    name: ClassVar[str] = "lift"
    nodes: tuple[str, ...]
    inputs: Mapping[str, str]
    output: str

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            KeyError: the nodes neither read nor compute a value of such a name.
        """
        nodes = [n for n in program.graph.all_nodes() if n.name in self.nodes]
        read = {v.name: v for n in nodes for v in n.inputs if v is not None}
        made = {v.name: v for n in nodes for v in n.outputs}
        given = {read[name]: _free(read[name], formal) for name, formal in self.inputs.items()}
        values = dict(given)
        fixed = [v for name, v in read.items() if name not in made and v not in given]
        for value in fixed:  # what was a Constant may have become an initializer
            values[value] = ir.Value(
                name=value.name, type=value.type, shape=value.shape, const_value=value.const_value
            )
        copies = build.copy(nodes, values, lambda name: name)
        graph = ir.Graph(
            list(given.values()),
            [values[made[self.output]]],
            nodes=copies,
            initializers=[values[value] for value in fixed],
            opset_imports=dict(program.graph.opset_imports),
            name=self.output,
        )
        program.model = ir.Model(graph, ir_version=program.model.ir_version)
        program.manifest = dataclasses.replace(
            program.manifest,
            outputs=(Output(self.output, "decision"),),
            runtime_inputs=(),
            losses=(),
        )
        return [f"{len(nodes)} nodes are left"]


def _free(value: ir.Value, name: str) -> ir.Value:
    """A new value of the same type and rank, whose dimensions are open."""
    rank = value.shape.rank() if value.shape is not None else 0
    shape = ir.Shape([f"{name}.{axis}" for axis in range(rank)])
    return ir.Value(name=name, type=value.type, shape=shape)
