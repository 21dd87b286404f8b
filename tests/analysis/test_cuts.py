"""Cuts are the dominators of the output on the data path, and lie in topological order."""

import itertools
from collections.abc import Callable

import networkx
import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.analysis.cuts import between, cuts, data_values
from hydrafy.ir.program import Program
from tests.train.programs import Sketch


def dominators(program: Program) -> list[ir.Value]:
    """The output's chain of immediate dominators, from the input on, by networkx."""
    graph: networkx.DiGraph = networkx.DiGraph()
    for node in program.graph:
        graph.add_edges_from((v, out) for v in data_values(node) for out in node.outputs)
    start, end = program.data_inputs[0], program.graph.outputs[0]
    parents = networkx.immediate_dominators(graph, start)
    chain = [end]
    while chain[-1] is not start:
        chain.append(parents[chain[-1]])
    return chain[::-1]


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Plain, residual and dense pieces in random order; some of what is computed is not used."""
    s = Sketch(("N", 4, 5, 5))
    weight = s.random("bias", 4, 1, 1)
    values = [s.x]
    for number in range(draw(st.integers(1, 14))):
        recent = st.integers(max(0, len(values) - 4), len(values) - 1)
        a, b = values[draw(recent)], values[draw(recent)]
        kind = draw(st.sampled_from(["Relu", "Add", "Sum", "Bias", "Dense"]))
        name = f"v{number}"
        if kind == "Relu":
            values.append(s.op("Relu", [a], name))
        elif kind == "Bias":
            values.append(s.op("Add", [a, weight], name))
        elif kind == "Dense":
            both = s.op("Concat", [a, b], f"{name}.both", axis=1)
            values.append(s.conv(both, name, 4, 1))
        else:
            values.append(s.op(kind, [a, b], name))
    return s.program(values[-1])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(programs())
def test_cuts_are_the_dominators_of_the_output(program: Program) -> None:
    found = cuts(program)
    assert found == dominators(program)
    for start, end in itertools.pairwise(found):
        nodes = between(start, end)
        inner = {v for n in nodes for v in n.outputs}
        read = {v for n in nodes for v in data_values(n)}
        assert end in inner and read - inner == {start}
        assert all(u.node in nodes for v in inner - {end} for u in v.uses() if _used(u.node, end))


def _used(node: ir.Node, end: ir.Value) -> bool:
    """Whether a node leads to the end at all."""
    stack = list(node.outputs)
    while stack:
        value = stack.pop()
        if value is end:
            return True
        stack += [v for u in value.uses() for v in u.node.outputs]
    return False


@pytest.mark.parametrize("name", ["resnet8", "resnet20", "resnet18", "bottleneck"])
def test_cuts_of_real_networks(source: Callable[..., Program], name: str) -> None:
    program = source(name)
    found = cuts(program)
    assert found == dominators(program)
    assert [found[0]] == program.data_inputs
    assert found[-1] is program.graph.outputs[0]
    order = [v for node in program.graph for v in node.outputs]
    assert [order.index(v) for v in found[1:]] == sorted(order.index(v) for v in found[1:])


def test_between_is_in_order_and_leaves_out_what_is_not_on_the_way() -> None:
    s = Sketch(("N", 4, 5, 5))
    a = s.op("Relu", [s.x], "a")
    b = s.op("Relu", [a], "b")
    s.op("Relu", [a], "dead")
    c = s.op("Add", [a, b], "c")
    d = s.op("Add", [c, c], "d")
    program = s.program(d)
    assert [n.name for n in between(a, d)] == ["b", "c", "d"]
    assert between(d, d) == []
    assert [n.name for n in between(s.x, a)] == ["a"]
    assert [v.name for v in cuts(program)] == ["x", "a", "c", "d"]


def test_two_inputs_have_no_common_cut_before_they_meet() -> None:
    s = Sketch(("N", 4))
    other = ir.val("other", ir.DataType.FLOAT, ["N", 4])
    s.graph.inputs.append(other)
    one = s.op("Relu", [s.x], "one")
    both = s.op("Add", [one, other], "both")
    program = s.program(s.op("Relu", [both], "y"))
    assert [v.name for v in cuts(program)] == ["both", "y"]


def test_a_value_that_is_read_twice_counts_once_and_constants_not_at_all() -> None:
    s = Sketch(("N", 4))
    limit = s.weight("limit", np.zeros(4, np.float32), overridable=True)
    weight = s.weight("weight", np.zeros(4, np.float32))
    total = s.op("Sum", [s.x, s.x, weight, limit], "y")
    s.program(total)
    assert data_values(s.graph[0]) == [s.x, limit]
