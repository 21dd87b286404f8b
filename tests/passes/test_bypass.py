"""Gates around residual blocks: all open the network is what it was, all closed it is its rest."""

from collections.abc import Callable

import numpy as np
import pytest

from hydrafy.errors import ModelError
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass

Source = Callable[..., Program]


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 3, 16, 16)).astype(np.float32)


def outputs(program: Program, tau: float) -> dict[str, np.ndarray]:
    feeds = {"input": images(5), "tau": np.full((1, 1), tau, np.float32)}
    return Session(program).run(feeds)


def test_open_gates_change_nothing_and_closed_ones_skip_their_blocks(source: Source) -> None:
    static = source("resnet20")
    gated = base.run(static.clone(), [InsertBypass()])
    names = [o.name for o in gated.manifest.outputs if o.role == "decision"]
    assert names == [f"gates.{number}.open" for number in range(9)]
    wanted = Session(static).run({"input": images(5)})["logits"]
    opened = outputs(gated, 0.0)
    np.testing.assert_allclose(opened["logits"], wanted, rtol=1e-5, atol=1e-5)
    assert all(opened[name].all() for name in names)
    closed = outputs(gated, 1.0)
    assert not any(closed[name].any() for name in names)
    assert not np.allclose(closed["logits"], wanted)
    some = outputs(gated, 0.5)
    assert any(some[name].any() and not some[name].all() for name in names)


def test_some_blocks_can_be_named(source: Source) -> None:
    gated = base.run(source("resnet20"), [InsertBypass(("stage1.2", "stage3.3"))])
    assert gated.manifest.journal[-1].notes == ("a gate before stage1.2", "a gate before stage3.3")
    assert [o.name for o in gated.manifest.outputs if o.role == "decision"] == [
        "gates.0.open",
        "gates.1.open",
    ]
    with pytest.raises(ModelError, match=r"no block 'stage1.9'.*stage1"):
        base.run(source("resnet20"), [InsertBypass(("stage1.9",))])


def test_one_gate_decides_for_the_rest_of_a_stage(source: Source) -> None:
    static = source("resnet20")
    gated = base.run(static.clone(), [InsertBypass(("stage1.2", "stage3.3"), onwards=True)])
    alone = base.run(static.clone(), [InsertBypass(("stage1.2", "stage1.3", "stage3.3"))])
    wanted = Session(static).run({"input": images(5)})["logits"]
    np.testing.assert_allclose(outputs(gated, 0.0)["logits"], wanted, rtol=1e-5, atol=1e-5)
    closed = outputs(gated, 1.0)
    assert not closed["gates.0.open"].any() and not closed["gates.1.open"].any()
    skipped = outputs(alone, 1.0)["logits"]
    np.testing.assert_allclose(closed["logits"], skipped, rtol=1e-5, atol=1e-5)
    with pytest.raises(ModelError, match="changes the shape"):
        base.run(static, [InsertBypass(("stage2",), onwards=True)])


def test_a_network_without_such_blocks_is_refused(source: Source) -> None:
    with pytest.raises(ModelError, match="no block that a sample could bypass"):
        base.run(source("densenet40", growth=4), [InsertBypass()])
