"""Decided: the predicates of images, as the dense network tells them or as decisions imply them."""

import numpy as np

from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Manifest, Output, RuntimeInput
from hydrafy.passes import base
from hydrafy.passes.cut import Cut
from hydrafy.runtime.bench.decided import decide, forced
from tests.passes.dynamic import IMAGES, layers, nested
from tests.train.programs import Sketch


def test_predicates_within_others_are_told_for_every_image() -> None:
    found = decide(nested(), IMAGES, {})
    names = tuple(p.name for p in found.predicates)
    assert set(names) == {"outer.on", "inner.on"}
    wanted = Session(base.run(nested(), [Cut((), names)])).run({"x": IMAGES})
    for number, name in enumerate(names):
        assert (found.rows[:, number] == wanted[name]).all()
        assert 0 < wanted[name].mean() < 1
    assert found.of(3) == {name: wanted[name][3] for name in names}


def test_given_decisions_imply_predicates() -> None:
    rng = np.random.default_rng(0)
    given = {name: rng.random((6, 2)) < 0.5 for name in ("first", "second")}
    found = forced(layers(), given)
    assert found is not None
    columns = {p.name: found.rows[:, i] for i, p in enumerate(found.predicates)}
    assert (columns["first.on"] == given["first"][:, 0]).all()
    assert (columns["second.on"] == given["second"][:, 0]).all()


def test_decisions_that_do_not_say_all_are_of_no_use() -> None:
    assert forced(nested(), {}) is None
    assert forced(layers(), {"first": np.ones((2, 2), bool)}) is None


def test_a_predicate_of_the_whole_batch_holds_for_each_image() -> None:
    s = Sketch()
    rich = s.weight("rich", np.array(False), overridable=True)
    y = s.op("Select", [rich, s.conv(s.x, "a", 4, 1), s.conv(s.x, "b", 4, 3)], "chosen")
    head = s.linear(s.pooled(y, "head"), "head.fc", 3)
    manifest = Manifest(
        stage="dynamic",
        outputs=(Output("head.fc", "prediction"),),
        runtime_inputs=(RuntimeInput("rich", 0, 1, None, "whether the smaller one runs"),),
    )
    program = s.program(head, manifest=manifest)
    assert decide(program, IMAGES[:3], {}).rows.tolist() == [[False]] * 3
    assert decide(program, IMAGES[:3], {"rich": np.array(True)}).rows.tolist() == [[True]] * 3
