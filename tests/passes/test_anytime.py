"""A budget stops a network with exits: the answer is the last one that it is enough for."""

from collections.abc import Callable

import numpy as np
import pytest

from hydrafy.errors import ModelError
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Manifest, RuntimeInput
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.anytime import Anytime
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.exits import InsertExits
from hydrafy.passes.exits.decisions import Confidence, Decision, Learned
from hydrafy.passes.settings import setting
from hydrafy.runtime.lower import Lowering, lower_program
from hydrafy.runtime.spent import spent

Source = Callable[..., Program]
KINDS = pytest.mark.parametrize(
    "decision", [Confidence(), Learned()], ids=["confidence", "learned"]
)


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 3, 16, 16)).astype(np.float32)


def with_exits(static: Program, decision: Decision) -> Program:
    return base.run(static, [InsertExits(("stage2", "stage3"), decision=decision)])


def patient(program: Program) -> dict[str, np.ndarray]:
    """Run-time inputs at which nobody leaves who has the budget."""
    given = {e.name: e.neutral for e in program.manifest.runtime_inputs if e.name != "budget"}
    return {name: np.full_like(program.weight(name), value) for name, value in given.items()}


def steps(program: Program) -> tuple[float, ...]:
    (found,) = (e.steps for e in program.manifest.runtime_inputs if e.name == "budget")
    return found


def column(values: object) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


@KINDS
def test_the_answer_is_the_last_one_that_a_budget_is_enough_for(
    source: Source, decision: Decision
) -> None:
    made = with_exits(source("resnet20"), decision)
    names = ["logits", "exits.0.logits", "exits.1.logits"]
    plain, x = patient(made), images(8)
    (last,) = Session(made).run({"input": x, **plain}, names[:1]).values()
    base.run(made, [Anytime()])
    session, (first, second, end) = Session(made), steps(made)
    assert 0 < first < second < end <= 1
    below = np.nextafter(np.float32([second, end]), np.float32(0))
    budgets = column([-np.inf, 0, first, below[0], second, below[1], end, np.inf])
    found = session.run({"input": x, "budget": budgets, **plain}, names)
    wanted = [found[names[1]]] * 4 + [found[names[2]]] * 2 + [last] * 2
    for row, answer in enumerate(wanted):
        np.testing.assert_allclose(found["logits"][row], answer[row], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(
        session.run({"input": x, **plain}, ["logits"])["logits"], last
    )  # a budget that nobody gives is 1
    told = session.run({"input": x, "budget": budgets, **plain})
    word = decision.word
    left = [told[f"exits.{i}.{word}"][:, 0] == decision.leaves for i in range(2)]
    assert left[0].tolist() == [True] * 4 + [False] * 4
    assert left[1].tolist() == [True] * 6 + [False] * 2


def test_who_is_sure_leaves_with_any_budget(source: Source) -> None:
    made = base.run(with_exits(source("resnet20"), Confidence(tau=0.0)), [Anytime()])
    found = Session(made).run({"input": images(3)}, ["logits", "exits.0.logits"])
    np.testing.assert_array_equal(found["logits"], found["exits.0.logits"])


@KINDS
def test_the_steps_are_what_is_counted_for_images_that_leave(
    source: Source, decision: Decision
) -> None:
    """Rounded up to thousandths."""
    made = with_exits(source("resnet20"), decision)
    works = spent(made)
    whole = sum(one.macs for one in works)
    gone = [{f"exits.{i}.predicate": decision.leaves} for i in range(2)]
    stays = {name: not held for one in gone for name, held in one.items()}
    for known, step in zip([*gone, {}], steps(base.run(made, [Anytime()])), strict=True):
        held = {**stays, **known}
        counted = [
            one.macs
            for one in works
            if all(held[c.predicate.name] == c.holds for c in one.conditions)
        ]
        assert step - 0.001 < sum(counted) / whole <= step


@pytest.mark.parametrize(
    ("how", "decision"),
    [
        (Lowering(anytime=True), Confidence()),
        (Lowering("native", anytime=True), Learned()),
        (Lowering("dense", anytime=True), Learned()),
        (Lowering(single=True, anytime=True), Learned()),
        (Lowering("native", single=True, anytime=True), Confidence()),
        (Lowering(precision="float16", anytime=True), Learned()),
    ],
    ids=lambda one: (
        f"{one.target}-{one.precision}{'-1' * one.single}" if isinstance(one, Lowering) else ""
    ),
)
def test_each_form_takes_a_budget_for_each_image(
    source: Source, decision: Decision, how: Lowering
) -> None:
    """Behind the first exit blocks have gates of their own."""
    static = base.run(source("resnet20"), [InsertBypass(("stage2.2", "stage3.2"))])
    made = with_exits(static, decision)
    lowered, proof = lower_program(made, how)
    assert proof.worst <= proof.limit and proof.reached == 4
    dense, low = Session(base.run(made.clone(), [Anytime()])), Session(lowered, threads=1)
    x = images(9)
    budgets = column([0, 0.3, 0.5, 0.7, 0.9, 1, np.inf, -np.inf, np.nan])
    wanted = dense.run({"input": x, "budget": budgets}, ["logits"])["logits"]
    parts = [slice(i, i + 1) for i in range(9)] if how.single else [slice(0, 9), slice(3, 9)]
    for part in parts:
        given = {"input": x[part], "budget": budgets[part]}
        found = low.run(given, ["logits"])["logits"]
        limit = 1e-4 if how.precision == "float32" else 2e-2
        assert np.abs(found - wanted[part]).max() <= limit * np.abs(wanted).max()


def test_a_network_without_exits_is_refused(source: Source) -> None:
    gated = base.run(source("resnet20"), [InsertBypass()])
    with pytest.raises(ModelError, match=r"no exits at which a budget could stop it.*--anytime"):
        lower_program(gated, Lowering(anytime=True))


def test_a_budget_of_the_networks_own_keeps_its_name(source: Source) -> None:
    made = with_exits(source("resnet20"), Confidence())
    setting(made, RuntimeInput("budget", 0, 1, 1, "another one"), np.ones((1, 1), np.float32))
    base.run(made, [Anytime()])
    assert [e.name for e in made.manifest.runtime_inputs][-2:] == ["budget", "exits.budget"]
    assert Manifest.from_json(made.manifest.to_json()) == made.manifest
