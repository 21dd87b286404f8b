"""A Select takes in a Relu; its other side needs one only if it may be negative."""

from collections.abc import Iterator

from hydrafy.analysis.signs import non_negative
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.passes.lower.merge.selects import alone, is_nothing, select
from hydrafy.passes.lower.regions import replace


def relus(program: Program) -> Iterator[str]:
    """`Relu(Select(p, a, b))` becomes `Select(p, Relu(a), Relu(b))`."""
    graph, signs = program.graph, non_negative(program.graph)
    for relu in [node for node in graph if node.op_type == "Relu"]:
        old = alone(relu.inputs[0])
        if old is None:
            continue
        pred, a, b = old.inputs
        if a is None or b is None:
            continue
        if not (is_nothing(b) or b in signs):
            if b.shape != a.shape:
                continue
            other = build.op("Relu", [b], f"{relu.name}.beside")
            graph.insert_before(relu, other)
            b = other.outputs[0]
        inside = build.op("Relu", [a], f"{relu.name}.inside")
        graph.insert_before(relu, inside)
        twin = select(pred, inside.outputs[0], b, f"{old.name}.merged")
        graph.insert_before(relu, twin)
        signs.add(twin.outputs[0])
        replace(graph, relu, twin.outputs[0])
        graph.remove(old, safe=True)
        yield f"{old.name!r} took in {relu.name!r}"
