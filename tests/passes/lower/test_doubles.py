"""Each side of an If gets its own copy of a convolution that only the two of them use."""

from collections.abc import Callable, Iterable

import numpy as np
import onnx_ir as ir

from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.passes.bypass import InsertBypass
from tests.passes.predicated import Net, feeds, run

Source = Callable[..., Program]


def convolutions(graph: Iterable[ir.Node]) -> int:
    return sum(node.op_type == "Conv" for node in graph)


def test_the_shortcuts_of_blocks_that_change_the_shape_stand_on_both_sides(source: Source) -> None:
    gated = base.run(source("resnet20", shortcut="B"), [InsertBypass()])
    single = base.run(gated.clone(), lower.pipeline(single=True))
    many = base.run(gated.clone(), lower.pipeline())
    assert convolutions(single.graph) == 1 and convolutions(many.graph) == 3
    assert convolutions(single.graph.all_nodes()) == 19 + 2 * 2
    assert convolutions(many.graph.all_nodes()) == 19 + 2
    x = np.random.default_rng(0).standard_normal((4, 3, 16, 16)).astype(np.float32)
    one, two = Session(gated), Session(single)
    for tau in (0.0, 0.5, 1.0):
        given = {"tau": np.full((1, 1), tau, np.float32)}
        for row in np.split(x, 4):
            wanted = one.run({"input": row, **given})["logits"]
            found = two.run({"input": row, **given})["logits"]
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def doubled(net: Net, *outputs: ir.Value) -> int:
    """How many more convolutions the lowered network has."""
    program = net.program(*outputs)
    low = base.run(program.clone(), lower.pipeline())
    for everything in (False, True):
        given = feeds(3, seed=1, everything=everything)
        for wanted, found in zip(
            run(Session(program), given), run(Session(low), given), strict=True
        ):
            np.testing.assert_allclose(found, wanted, atol=1e-5)
    return convolutions(low.graph.all_nodes()) - convolutions(program.graph)


def shared(net: Net) -> tuple[ir.Value, ir.Value]:
    """A choice for the whole batch of which both sides read one convolution, and that."""
    for _ in range(20):  # so that there is room for a copy
        net.x = net.conv(net.x)
    weight = net.const(np.ones((4, 4, 1, 1), np.float32))
    both = net.op("Conv", net.x, weight)
    return net.select(net.all, net.conv(both), net.op("Tanh", both)), both


def test_a_choice_for_the_whole_batch_doubles_too() -> None:
    net = Net()
    assert doubled(net, shared(net)[0]) == 1


def test_what_others_read_as_well_is_not_doubled() -> None:
    net = Net()
    assert doubled(net, *shared(net)) == 0


def test_there_is_a_limit_to_what_copies_take() -> None:
    net = Net()
    both = net.op("Conv", net.x, net.const(np.ones((4, 4, 3, 3), np.float32)), pads=[1] * 4)
    assert doubled(net, net.select(net.all, net.conv(both), net.op("Tanh", both))) == 0
