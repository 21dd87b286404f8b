"""Gates around blocks: all open the network is what it was, all closed it is its rest."""

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.analysis.cost import cost
from hydrafy.errors import ModelError
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.gumbel import Depth, Independent
from tests.analysis.test_anatomy import vgg

Source = Callable[..., Program]

WAYS = {
    "a gate for each block": InsertBypass(),
    "a gate for each stage": InsertBypass(per_stage=True),
    "two blocks at once": InsertBypass(span=2),
    "groups of filters": InsertBypass(filters=4),
    "gates that see nothing": InsertBypass(gate=Independent()),
    "stochastic depth": InsertBypass(gate=Depth()),
    "pairs in a stage, halves": InsertBypass(per_stage=True, span=2, filters=2),
}


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 3, 16, 16)).astype(np.float32)


def outputs(program: Program, tau: float) -> dict[str, np.ndarray]:
    feeds = {"input": images(5), "tau": np.full((1, 1), tau, np.float32)}
    return Session(program).run(feeds)


def decisions(program: Program) -> list[str]:
    return [o.name for o in program.manifest.outputs if o.role == "decision"]


@pytest.mark.parametrize("network", ["resnet20", "bottleneck", "preact_resnet20", "densenet22"])
@pytest.mark.parametrize("way", WAYS)
def test_open_gates_change_nothing(source: Source, network: str, way: str) -> None:
    static = source(network)
    gated = base.run(static.clone(), [WAYS[way]])
    wanted = Session(static).run({"input": images(5)})["logits"]
    opened = outputs(gated, 0.0)
    np.testing.assert_allclose(opened["logits"], wanted, rtol=1e-5, atol=1e-5)
    assert all(opened[name].all() for name in decisions(gated))
    closed = outputs(gated, 1.0)
    assert not any(closed[name].any() for name in decisions(gated))
    assert not np.allclose(closed["logits"], wanted, rtol=1e-3, atol=1e-3)


def test_each_block_has_a_gate_that_looks_at_the_image(source: Source) -> None:
    gated = base.run(source("resnet20"), [InsertBypass()])
    blocks = [f"stage{stage}{end}" for stage in (1, 2, 3) for end in ("", ".2", ".3")]
    assert decisions(gated) == [f"gates.{block}.open" for block in blocks]
    some = outputs(gated, 0.5)
    assert any(some[name].any() and not some[name].all() for name in decisions(gated))


def test_what_all_gates_skip_is_all_that_blocks_add(source: Source) -> None:
    static = source("resnet20")
    gated = base.run(static.clone(), [InsertBypass()])
    sites = InsertBypass().sites(static)
    stem, head = 3 * 8 * 3**2 * 16**2, 32 * 10  # shortcuts of type A multiply nothing
    assert sum(sum(site.costs) for site in sites) == cost(static).macs - stem - head
    assert len(gated.manifest.rates) == 9


def test_some_blocks_can_be_named(source: Source) -> None:
    gated = base.run(source("resnet20"), [InsertBypass(("stage1.2", "stage3.3"))])
    assert gated.manifest.journal[-1].notes == ("a gate before stage1.2", "a gate before stage3.3")
    assert decisions(gated) == ["gates.stage1.2.open", "gates.stage3.3.open"]
    with pytest.raises(ModelError, match=r"no block 'stage1.9'.*stage1"):
        base.run(source("resnet20"), [InsertBypass(("stage1.9",))])


def test_one_gate_decides_for_blocks_that_follow_each_other(source: Source) -> None:
    static = source("resnet20")
    names = ("stage1.2", "stage1.3", "stage2", "stage2.3", "stage3.3")
    gated = base.run(static.clone(), [InsertBypass(names, span=2)])
    alone = base.run(static.clone(), [InsertBypass(names)])
    firsts = ["stage1.2", "stage2", "stage2.3", "stage3.3"]  # stage2.2, between, has no gate
    assert decisions(gated) == [f"gates.{name}.open" for name in firsts]
    closed, skipped = (outputs(program, 1.0)["logits"] for program in (gated, alone))
    np.testing.assert_allclose(closed, skipped, rtol=1e-5, atol=1e-5)


def test_a_threshold_for_each_gate_and_image(source: Source) -> None:
    """Each choice reads the column of its own, whatever gate it belongs to."""
    gated = base.run(source("resnet20"), [InsertBypass(per_stage=True, filters=2)])
    shape = gated.weight("tau").shape
    assert shape == (1, 18)
    tau = (np.random.default_rng(0).random((5, shape[1])) < 0.5).astype(np.float32)
    found = Session(gated).run({"input": images(5), "tau": tau})
    opened = np.concatenate([found[name] for name in decisions(gated)], axis=1)
    np.testing.assert_array_equal(opened, tau == 0)


def test_the_log_odds_of_a_gate_that_sees_nothing_are_those_it_has_learned(source: Source) -> None:
    gate = Independent(bias=(0.25, 1.25))  # open with the probability 0.731
    gated = base.run(source("resnet20"), [InsertBypass(gate=gate)])
    for tau, opened in ((0.73, True), (0.74, False)):
        found = outputs(gated, tau)
        assert all((found[name] == opened).all() for name in decisions(gated))


def test_stochastic_depth_falls_in_a_line_to_its_last_probability(source: Source) -> None:
    gated = base.run(source("resnet20"), [InsertBypass(gate=Depth(last=0.1), tau=0.45)])
    found = Session(gated).run({"input": images(2)})
    opened = [bool(found[name].all()) for name in decisions(gated)]
    assert opened == [1 - 0.1 * (number + 1) > 0.45 for number in range(9)]


def test_filters_that_cannot_be_grouped_are_refused(source: Source) -> None:
    with pytest.raises(ModelError, match="multiple of 5 filters"):
        base.run(source("resnet20"), [InsertBypass(filters=5)])


def test_a_network_without_such_blocks_is_refused() -> None:
    with pytest.raises(ModelError, match="no block that a sample could bypass"):
        base.run(vgg(), [InsertBypass()])


def test_selects_train_with_a_gradient_for_their_predicates(source: Source) -> None:
    gated = base.run(source("densenet22"), [InsertBypass()])
    selects = [node for node in gated.graph if node.op_type == "Select"]
    assert selects and all(_gradient(node) == "straight_through" for node in selects)


def _gradient(node: ir.Node) -> str:
    return node.attributes.get_string("gradient", "none") or ""
