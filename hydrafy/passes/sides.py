"""Takes sides: a Select whose predicate is known gives way to the side that it chooses."""

from collections.abc import Mapping

import onnx_ir as ir

from hydrafy.analysis.predication.need import SIDES
from hydrafy.analysis.signs import non_negative
from hydrafy.ir.program import Program
from hydrafy.passes.scalars import Scalars, is_scalar, stand_in


def take_sides(program: Program, holds: Mapping[ir.Node, bool]) -> None:
    """Replaces Selects by one of their sides, by a where the predicate holds.

    A Relu goes that has nothing left to cut off. What nobody reads any more stays, for
    `RemoveUnusedNodesPass`.

    Args:
        program: a dynamic program, which is changed.
        holds: whether the predicates of some of its Selects hold, of all samples.
    """
    graph = program.graph
    nothing: dict[ir.Node, ir.Value] = {}
    for select, held in holds.items():
        chosen = select.inputs[SIDES["a" if held else "b"]]
        assert chosen is not None
        if is_scalar(chosen):
            nothing[select] = chosen
        else:
            stand_in(graph, chosen, select)
    scalars = Scalars(program.data_inputs[0], frozenset(nothing))
    for select, scalar in nothing.items():
        scalars.put(scalar, select)
    _drop_relus(graph)


def _drop_relus(graph: ir.Graph) -> None:
    positive = non_negative(graph)
    for relu in [node for node in graph if node.op_type == "Relu"]:
        source, out = relu.inputs[0], relu.outputs[0]
        if source in positive and not out.is_graph_output():
            out.replace_all_uses_with(source)
