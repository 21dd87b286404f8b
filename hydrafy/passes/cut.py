"""The part of a program between named values: for probes that feed or watch its inside."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.ir.manifest import Output
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class Cut(Pass):
    """Named values become inputs or outputs of the program; what neither needs goes.

    Args:
        inputs: values of the main graph to be fed; what computed them goes.
        outputs: values of the main graph to be computed, in this order, instead of the outputs.
    """

    name: ClassVar[str] = "cut"
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            KeyError: no node of the main graph computes a value of such a name.
        """
        graph, manifest = program.graph, program.manifest
        values = {v.name: v for node in graph for v in node.outputs}
        wanted = [values[name] for name in self.outputs]
        graph.outputs.clear()
        graph.outputs.extend(wanted)
        for name in self.inputs:
            value = values[name]
            value.name = f"{name}.own"
            given = ir.Value(name=name, shape=value.shape, type=value.type)
            graph.inputs.append(given)
            value.replace_all_uses_with(given)
        _prune(graph)
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        for value in [v for v in graph.inputs if not v.uses() and v.name not in self.inputs]:
            graph.inputs.remove(value)
            graph.initializers.pop(value.name or "", None)
        left = {v.name for v in graph.inputs}
        program.manifest = dataclasses.replace(
            manifest,
            outputs=tuple(Output(n, manifest.role(n)) for n in self.outputs),
            runtime_inputs=tuple(e for e in manifest.runtime_inputs if e.name in left),
            losses=(),
        )
        return [f"{len(self.inputs)} values are fed, {len(self.outputs)} are computed"]


def _prune(graph: ir.Graph) -> None:
    """Removes nodes that no output needs, Ifs with their regions too (the library leaves those)."""
    needed: set[ir.Node] = set()
    waiting = [v.producer() for v in graph.outputs]
    while waiting:
        node = waiting.pop()
        if node is None or node in needed:
            continue
        needed.add(node)
        waiting += [v.producer() for n in (node, *_inside(node)) for v in n.inputs if v is not None]
    for node in [node for node in reversed(graph) if node not in needed]:
        for inner in _inside(node):
            for place in range(len(inner.inputs)):
                inner.replace_input_with(place, None)
        graph.remove(node, safe=True)


def _inside(node: ir.Node) -> list[ir.Node]:
    graphs = [a.as_graph() for a in node.attributes.values() if a.type == ir.AttributeType.GRAPH]
    return [inner for graph in graphs for inner in graph.all_nodes()]
