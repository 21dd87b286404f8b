"""Early exits: a threshold beyond 1 lets nobody leave, 0 everybody at the first exit."""

from collections.abc import Callable

import numpy as np
import pytest

from hydrafy.analysis.cost import macs
from hydrafy.analysis.predication.executed import work
from hydrafy.errors import ModelError
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.exits import InsertExits
from hydrafy.passes.gumbel import Independent
from hydrafy.runtime.lower import Lowering, lower_program

Source = Callable[..., Program]
EARLY = ["exits.0.logits", "exits.1.logits"]


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 3, 16, 16)).astype(np.float32)


def with_exits(static: Program) -> Program:
    return base.run(static.clone(), [InsertExits(("stage2", "stage3.2"))])


def thresholds(first: object, second: object, name: str = "tau") -> dict[str, np.ndarray]:
    """Those of both exits, for all images or for each."""
    columns = [np.array(v, np.float32).reshape(-1, 1) for v in (first, second)]
    return {name: np.concatenate(columns, axis=1)}


def test_a_sample_leaves_where_it_is_sure(source: Source) -> None:
    static = source("resnet20")
    x = images(6)
    (last,) = Session(static).run({"input": x}).values()
    session = Session(with_exits(static))

    def logits(first: float, second: float) -> np.ndarray:
        return session.run({"input": x, **thresholds(first, second)}, ["logits"])["logits"]

    early = session.run({"input": x}, EARLY)
    np.testing.assert_allclose(logits(1.1, 1.1), last, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(logits(0, 1.1), early[EARLY[0]])
    np.testing.assert_array_equal(logits(1.1, 0), early[EARLY[1]])
    sure = np.exp(early[EARLY[0]]) / np.exp(early[EARLY[0]]).sum(1, keepdims=True)
    middle = float(np.median(sure.max(1)))
    leaves = sure.max(1) >= middle
    assert 0 < leaves.sum() < 6
    wanted = np.where(leaves[:, None], early[EARLY[0]], early[EARLY[1]])
    np.testing.assert_array_equal(logits(middle, 0), wanted)


@pytest.mark.parametrize("target", ["portable", "native"])
@pytest.mark.parametrize("single", [False, True])
def test_thresholds_of_each_sample_reach_gates_in_regions(
    source: Source, target: str, single: bool
) -> None:
    program = with_exits(source("resnet20"))
    lowered, _ = lower_program(program, Lowering(target, single=single))  # proven here, too
    dense, low, x = Session(program), Session(lowered, threads=1), images(8)
    rng = np.random.default_rng(1)
    for rows in (np.array([0, 1.1] * 4), rng.uniform(0.1, 0.3, 8)):
        given = {"input": x, **thresholds(rows, rows[::-1])}
        wanted = dense.run(given, ["logits"])["logits"]
        parts = [slice(i, i + 1) for i in range(8)] if single else [slice(0, 8)]
        found = [low.run({k: v[part] for k, v in given.items()})["logits"] for part in parts]
        np.testing.assert_allclose(np.concatenate(found), wanted, rtol=1e-4, atol=1e-4)


def test_what_only_the_last_exits_need_is_in_a_region(source: Source) -> None:
    lowered, _ = lower_program(with_exits(source("resnet20")), Lowering(single=True))
    outside = [node.op_type for node in lowered.graph]
    every = [node.op_type for node in lowered.graph.all_nodes()]
    assert outside.count("If") == 1 and every.count("If") == 2
    assert outside.count("Conv") == 7 and every.count("Conv") == 19 + 2  # 2 are shortcuts


def test_an_exit_before_no_stage_is_refused(source: Source) -> None:
    with pytest.raises(ModelError, match=r"no split 'stage9'"):
        base.run(source("resnet20"), [InsertExits(("stage9",))])


def test_what_lies_behind_an_exit_is_counted_for_those_who_get_there(source: Source) -> None:
    program = with_exits(source("resnet20"))
    before = {tuple(sorted(map(str, one.conditions))): one.macs for one in work(program)}
    first, second = "exits.0.predicate", "exits.1.predicate"
    assert {(), (f"not {first}",), (f"not {first}", f"not {second}")} <= set(before)
    lowered, _ = lower_program(program)
    convolved = sum(map(macs, program.graph))
    assert sum(one.macs for one in work(lowered)) == pytest.approx(convolved, rel=0.02)
    assert before[()] < convolved / 2


@pytest.mark.parametrize("target", ["portable", "native"])
@pytest.mark.parametrize("single", [False, True])
def test_blocks_behind_an_exit_have_gates_of_their_own(
    source: Source, target: str, single: bool
) -> None:
    """Those who leave early reach no gate behind their exit, though its decision is an output."""
    static = source("resnet20", width=16)
    program = base.run(static, [InsertBypass(), InsertExits(("stage2", "stage3"))])
    lowered, _ = lower_program(program, Lowering(target, single=single))
    outside = sum(node.op_type.endswith("Conv") for node in lowered.graph)
    assert outside <= 2  # what stage 1 has outside of its blocks
    dense, low, x = Session(program), Session(lowered, threads=1), images(8)
    rng = np.random.default_rng(1)
    for rows in (np.zeros(8), np.array([0, 1.1] * 4), rng.uniform(0.1, 0.3, 8)):
        given = {
            "input": x,
            **thresholds(rows, rows[::-1], "exits.tau"),
            "tau": np.full((1, 1), 0.5, "f"),
        }
        wanted = dense.run(given)
        parts = [slice(i, i + 1) for i in range(8)] if single else [slice(0, 8)]
        for part in parts:
            found = low.run({k: v if k == "tau" else v[part] for k, v in given.items()})
            np.testing.assert_allclose(
                found["logits"], wanted["logits"][part], rtol=1e-4, atol=1e-4
            )
            for name in (o.name for o in program.manifest.outputs if o.role == "decision"):
                assert not (found[name] & ~wanted[name][part]).any()  # False where nobody asked
                if not rows.any():
                    assert found[name].any() <= name.startswith(("exits", "gates.stage1"))


def test_gates_that_come_later_stand_before_the_first_exit(source: Source) -> None:
    """Behind it no cut is left: what the exit has computed lives on to the end."""
    gated = base.run(with_exits(source("resnet20")), [InsertBypass()])
    names = [o.name for o in gated.manifest.outputs if o.name.startswith("gates.")]
    assert names == [f"gates.{block}.open" for block in ("stage1", "stage1.2", "stage1.3")]


def test_gates_behind_an_exit_may_see_nothing(source: Source) -> None:
    """In a file for one image what they say is a constant, whose rows nobody can follow."""
    gates = InsertBypass(gate=Independent())
    program = base.run(source("resnet8"), [gates, InsertExits(("stage2", "stage3"))])
    _, proof = lower_program(program, Lowering("native", single=True))
    assert proof.reached == 3 + 2
