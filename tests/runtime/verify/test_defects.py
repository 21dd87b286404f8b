"""Each defect that is planted in a lowered file is found, wherever it is planted."""

from collections.abc import Callable, Iterator

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.analysis.predication.inlined import inlined
from hydrafy.errors import VerifyError
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.passes.anytime import Anytime
from hydrafy.passes.exits import InsertExits
from hydrafy.runtime.verify import verify, verify_lowered
from tests.passes.predicated import Net

Plant = Callable[[ir.Node], None]


def network(*, told: bool = False) -> Program:
    """A block behind a gate, two sides of a gate, an exit, and behind it a block with a gate."""
    net = Net(seed=1)
    x = net.conv(net.x)
    first, either = net.gate(net.linear(net.pooled(x), 2), fixed=False, told=True)
    x = net.op("Relu", net.op("Add", x, net.select(first, net.conv(x), net.zero())))
    x = net.select(either, net.conv(x), net.conv(x))
    early = net.linear(net.pooled(x), 5)
    sure = net.op("ReduceMax", early, net.const(np.array([1])), keepdims=1)
    (leaves,) = net.gate(sure, told=told)
    deep = net.conv(x)
    (late,) = net.gate(net.linear(net.pooled(deep), 1), told=told)
    deep = net.op("Add", deep, net.select(late, net.conv(deep), net.zero()))
    return net.program(net.select(leaves, early, net.linear(net.pooled(deep), 5)))


def lowered(program: Program) -> Program:
    return base.run(program.clone(), lower.pipeline())


def nested(low: Program) -> list[str]:
    return [n for n, site in inlined(low).items() if site.decision.graph is not low.graph]


@pytest.fixture(scope="module")
def dense() -> Program:
    return network()


def graphs(graph: ir.Graph) -> Iterator[ir.Graph]:
    yield graph
    for node in graph:
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                yield from graphs(attribute.as_graph())


def nodes(program: Program, which: str) -> list[ir.Node]:
    """The nodes of an op type, or of those the ones whose name ends like this."""
    op_type, dot, ending = which.partition(".")
    found = (node for graph in graphs(program.graph) for node in graph)
    return [n for n in found if n.op_type == op_type and (n.name or "").endswith(dot + ending)]


def before(node: ir.Node, op_type: str, inputs: list[ir.Value], name: str) -> ir.Value:
    """A new node before another one."""
    made = build.op(op_type, inputs, f"{node.name}.{name}")
    assert isinstance(node.graph, ir.Graph)
    node.graph.insert_before(node, made)
    return made.outputs[0]


def const(node: ir.Node, array: object, name: str) -> ir.Value:
    assert isinstance(node.graph, ir.Graph)
    return build.weight(node.graph, f"{node.name}.{name}", np.asarray(array))


def other_rows(put: ir.Node) -> None:
    """What a region computed goes to its rows in the opposite order."""
    ends = [const(put, np.array([n]), f"slice.{i}") for i, n in enumerate((-1, -(2**31), 0, -1))]
    put.replace_input_with(1, before(put, "Slice", [put.inputs[1], *ends], "reversed"))


def lost(put: ir.Node) -> None:
    """What a region computed is not put anywhere."""
    put.outputs[0].replace_all_uses_with(put.inputs[0], replace_graph_outputs=True)


def opposite(found: ir.Node) -> None:
    """A region runs on the rows that do not need it."""
    found.replace_input_with(0, before(found, "Not", [found.inputs[0]], "opposite"))


def every(found: ir.Node) -> None:
    """A region runs on all rows, and all of them get what it computes.

    It is that of the side which is put over the other one; else this would be slow, not wrong.
    """
    opposed = before(found, "Not", [found.inputs[0]], "opposite")
    found.replace_input_with(0, before(found, "Or", [found.inputs[0], opposed], "every"))


def strict(compare: ir.Node) -> None:
    """A gate is closed where its score is equal to the threshold."""
    compare.op_type = "Greater"


DEFECTS = [
    ("ScatterND", other_rows),
    ("ScatterND", lost),
    ("NonZero", opposite),
    ("NonZero.a.found", every),
    ("GreaterOrEqual", strict),
]


@pytest.mark.parametrize(("which", "plant"), DEFECTS, ids=lambda v: getattr(v, "__name__", v))
def test_a_planted_defect_is_found_wherever_it_is(dense: Program, which: str, plant: Plant) -> None:
    plain = lowered(dense)
    count = len(nodes(plain, which))
    assert count >= 2
    for number in range(count):
        low = plain.clone()
        plant(nodes(low, which)[number])
        with pytest.raises(VerifyError):
            verify_lowered(dense, low)


def test_the_region_is_named(dense: Program) -> None:
    plain = lowered(dense)
    verify_lowered(dense, plain)
    names = [n.name or "" for n in plain.graph if n.op_type == "If"]
    assert len(names) >= 4
    for name in names:
        low = plain.clone()
        branch = next(n for n in low.graph if n.name == name)
        weights = branch.attributes["then_branch"].as_graph().initializers.values()
        kernel = next(v for v in weights if v.shape is not None and v.shape.rank() == 4)
        assert kernel.const_value is not None
        kernel.const_value = ir.tensor(kernel.const_value.numpy() * np.float32(1.1))
        region = name.removesuffix(".if")
        with pytest.raises(VerifyError, match=f"output .* differs .* in region '{region}'"):
            verify_lowered(dense, low)


def test_images_that_see_each_other_are_found(dense: Program) -> None:
    """The mean over a batch is added to each of its rows, times nothing: all is equal but NaNs."""
    low = lowered(dense)
    first = next(n for n in low.graph if n.op_type == "Relu")
    axis, none = const(first, np.array([0]), "axis"), const(first, np.float32(0), "none")
    mean = before(first, "ReduceMean", [first.inputs[0], axis], "mean")
    nothing = before(first, "Mul", [mean, none], "nothing")
    first.replace_input_with(0, before(first, "Add", [first.inputs[0], nothing], "sum"))
    verify_lowered(dense, low)
    with pytest.raises(VerifyError, match="one image changes what another one gets"):
        verify(dense, low)


def test_a_gate_behind_an_exit_lies_in_a_region_and_is_proven(dense: Program) -> None:
    low = lowered(dense)
    assert nested(low)
    found = verify(dense, low)
    assert found.reached == 4
    assert found.decided > 3 * 64
    assert found.near_threshold == 0


def test_two_programs_in_any_order(dense: Program) -> None:
    low = lowered(dense)
    assert verify(low, dense) == verify(dense, low)
    assert verify(dense, dense).reached == 4
    with pytest.raises(VerifyError, match="compare each file with the dynamic one"):
        verify(low, low)  # whether an image leaves is no output


def test_two_lowered_programs() -> None:
    low = lowered(network(told=True))
    assert verify(low, low).reached == 4
    other = low.clone()
    lost(nodes(other, "ScatterND")[0])
    with pytest.raises(VerifyError, match="differs by"):
        verify(low, other)


@pytest.mark.parametrize("seed", range(3))
def test_thresholds_of_other_rows_are_found(source: Callable[..., Program], seed: int) -> None:
    """The gate of the second exit takes the threshold of the first row for all that get there."""
    exits = base.run(source("resnet20"), [InsertExits(("stage2", "stage3"))])
    low = lowered(exits)
    verify_lowered(exits, low, seed=seed)
    (gather,) = (
        node
        for node in low.graph.all_nodes()
        if node.op_type == "GatherND" and (node.inputs[0].name or "").startswith("exits.1.bound")
    )
    nothing = const(gather, np.zeros((1, 1), np.int64), "nothing")
    first = before(gather, "Mul", [gather.inputs[1], nothing], "first")
    gather.replace_input_with(1, first)
    with pytest.raises(VerifyError):
        verify_lowered(exits, low, seed=seed)


@pytest.mark.parametrize("number", [0, 1])
def test_another_step_of_a_budget_is_found(source: Callable[..., Program], number: int) -> None:
    """By a thousandth, which no budget drawn by chance would hit."""
    exits = InsertExits(("stage2", "stage3"))
    limited = base.run(source("resnet8"), [exits, Anytime()])
    low = lowered(limited)
    assert verify_lowered(limited, low).reached == 2
    name = f"exits.{number}.sure.step"
    (step,) = (g.initializers[name] for g in graphs(low.graph) if name in g.initializers)
    assert step.const_value is not None
    step.const_value = ir.tensor(step.const_value.numpy() + np.float32(0.001), name=name)
    with pytest.raises(VerifyError, match=f"'exits.{number}.sure' differ in"):
        verify_lowered(limited, low)
