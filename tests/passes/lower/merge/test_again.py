"""What was pooled already is not pooled again."""

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.lower.merge import Merge
from tests.passes.predicated import Net, feeds, run


def pools(graph: ir.Graph) -> int:
    return sum(node.op_type == "GlobalAveragePool" for node in graph)


def test_gates_in_a_row_pool_in_the_block_between_them(
    source: Callable[..., Program],
) -> None:
    gated = base.run(source("resnet20"), [InsertBypass()])
    low = base.run(gated.clone(), lower.pipeline(single=True))
    assert pools(gated.graph) == 10 and pools(low.graph) == 3  # the first, and after projections
    every = list(low.graph.all_nodes())
    assert sum(node.op_type == "GlobalAveragePool" for node in every) == 10
    assert sum(node.op_type == "If" for node in every) == 9
    x = np.random.default_rng(0).standard_normal((4, 3, 16, 16)).astype(np.float32)
    one, two = Session(gated), Session(low)
    for row in np.split(x, 4):
        wanted, found = one.run({"input": row}), two.run({"input": row})
        for name, array in wanted.items():
            np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-5)


def test_an_image_that_was_not_pooled_is_pooled_once_for_all() -> None:
    net = Net(decisions=1)
    chosen = net.select(net.pred(0), net.conv(net.x), net.op("Tanh", net.x))
    program = net.program(net.pooled(chosen))
    merged = base.run(program.clone(), [Merge()])
    assert pools(merged.graph) == 1


def test_two_pools_of_one_image_are_both_spared() -> None:
    net = Net(decisions=1)
    x = net.conv(net.x)
    chosen = net.select(net.pred(0), net.conv(x), x)
    kinds = ("GlobalAveragePool", "GlobalMaxPool", "GlobalAveragePool")
    outs = [net.op(kind, v) for kind in kinds for v in (x, chosen)]
    program = net.program(*(net.op("Flatten", out) for out in outs))
    low = base.run(program.clone(), lower.pipeline())
    outside = [n.op_type for n in low.graph if n.op_type.startswith("Global")]
    assert len(outside) == 2  # one of each kind
    given = feeds(5, seed=1, everything=True, decisions=1)
    for wanted, found in zip(run(Session(program), given), run(Session(low), given), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_pool_that_is_needed_more_seldom_than_the_image_is_not_moved() -> None:
    """Behind an exit: the region of the image and that of the pool would share what is inside."""
    net = Net(decisions=2)
    x = net.conv(net.x)
    chosen = net.select(net.pred(0), net.conv(x), x)
    before, behind = (net.op("GlobalAveragePool", v) for v in (x, chosen))
    late = net.op("Flatten", net.op("Add", behind, before))
    early = net.op("Flatten", net.op("GlobalMaxPool", chosen))
    program = net.program(net.select(net.pred(1), early, late))
    low = base.run(program.clone(), lower.pipeline())
    assert not any(node.op_type == "Conv" for node in list(low.graph)[1:])  # the second in a region
    given = feeds(5, seed=1, everything=True, decisions=2)
    for wanted, found in zip(run(Session(program), given), run(Session(low), given), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
