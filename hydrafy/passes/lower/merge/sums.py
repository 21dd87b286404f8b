"""A Select of something or nothing takes in the sum that it is added to."""

from collections.abc import Iterator

from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.passes.lower.merge.selects import alone, is_nothing, select
from hydrafy.passes.lower.regions import replace


def sums(program: Program) -> Iterator[str]:
    """`Add(x, Select(p, a, 0))` becomes `Select(p, Add(x, a), x)`."""
    graph = program.graph
    for add in [node for node in graph if node.op_type == "Add"]:
        for place, value in enumerate(add.inputs):
            old, x = alone(value), add.inputs[1 - place]
            if old is None or x is None or not is_nothing(old.inputs[2]):
                continue
            pred, a, _ = old.inputs
            if a is None or a.shape != x.shape or x.shape != add.outputs[0].shape:
                continue
            inside = build.op("Add", [x, a], f"{add.name}.inside")
            graph.insert_before(add, inside)
            twin = select(pred, inside.outputs[0], x, f"{old.name}.merged")
            graph.insert_before(add, twin)
            replace(graph, add, twin.outputs[0])
            graph.remove(old, safe=True)
            yield f"{old.name!r} took in {add.name!r}"
            break
