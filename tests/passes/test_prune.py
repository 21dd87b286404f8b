"""A pruned network computes what the dynamic one did for all images that decide as was settled."""

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.analysis.anatomy import anatomy
from hydrafy.errors import ModelError
from hydrafy.execute.session import Session
from hydrafy.ir import ops
from hydrafy.ir.manifest import LossTerm, Normalisation, Rate
from hydrafy.ir.program import Program
from hydrafy.ir.values import dims
from hydrafy.passes import base
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.exits import InsertExits
from hydrafy.passes.exits.decisions import Confidence
from hydrafy.passes.prune import Prune
from hydrafy.runtime.bench.decided import Decided, decide
from hydrafy.runtime.convert import convert
from hydrafy.runtime.lower import lower_program
from hydrafy.train.importer import to_torch
from tests.passes.dynamic import IMAGES, layers, nested
from tests.passes.predicated import feeds, gated, networks, reasoned

Arrays = dict[str, np.ndarray]


def pruned(program: Program, settled: dict[str, bool]) -> Program:
    return base.run(program.clone(), [Prune(settled)])


def computes(program: Program, given: Arrays) -> Arrays:
    """All outputs by name; what the network does not take is left out."""
    taken = {v.name for v in program.graph.inputs}
    return Session(program, threads=1).run({k: v for k, v in given.items() if k in taken})


def predictions(program: Program, given: Arrays) -> list[np.ndarray]:
    role = program.manifest.role
    return [v for k, v in computes(program, given).items() if role(k) == "prediction"]


def held(program: Program, given: Arrays) -> Arrays:
    """The predicates of all Selects by name, bool [images] each."""
    probe = program.clone()
    asked = {n.inputs[0] for n in probe.graph if ops.is_select(n)}
    computed = [v for v in asked if v.producer() is not None]
    names = {v.name for v in computed}
    probe.graph.outputs.extend(computed)
    found = {name: array for name, array in computes(probe, given).items() if name in names}
    found.update({v.name: given[v.name] for v in asked if v not in computed})
    return {name: np.broadcast_to(array, len(given["x"])) for name, array in found.items()}


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    st.one_of(networks(), reasoned(), gated()),
    st.booleans(),
    st.sampled_from([1.0, 2.0, 4.0]),
    st.integers(0, 11),
    st.integers(0, 255),
)
def test_images_that_decide_as_was_settled_get_the_same(
    program: Program, everything: bool, budget: float, row: int, which: int
) -> None:
    given = feeds(12, seed=3, everything=everything, budget=budget)
    found = held(program, given)
    settled = {n: bool(found[n][row]) for i, n in enumerate(sorted(found)) if which >> i % 8 & 1}
    made = pruned(program, settled)
    left = {n.inputs[0].name for n in made.graph if ops.is_select(n)}
    assert not left & set(settled)
    agree = np.logical_and.reduce([found[n] == is_held for n, is_held in settled.items()] or True)
    for a, b in zip(predictions(program, given), predictions(made, given), strict=True):
        np.testing.assert_allclose(b[agree], a[agree], atol=1e-5)
    if len(settled) == len(found):
        assert made.stage == "static" and not any(n.domain for n in made.graph)


def images(program: Program, count: int = 24) -> np.ndarray:
    """Images of many brightnesses, so that gates differ."""
    rng, shape = np.random.default_rng(0), dims(program.data_inputs[0])
    array = rng.standard_normal((count, *shape)) + 3 * rng.standard_normal((count, shape[0], 1, 1))
    return array.astype(np.float32)


def check(program: Program, settle: Iterable[str], row: int, x: np.ndarray) -> Program:
    """Settles predicates as an image has them; it, and those that agree, get the same scores."""
    found = decide(program, x, {})
    settled = {name: bool(found.of(row)[name]) for name in settle}
    made = pruned(program, settled)
    agree = agreeing(found, settled)
    given = {program.data_inputs[0].name or "": x}
    (wanted, *_), (got, *_) = predictions(program, given), predictions(made, given)
    assert agree[row]
    np.testing.assert_allclose(got[agree], wanted[agree], atol=1e-4 * np.abs(wanted).max())
    return made


def agreeing(found: Decided, settled: dict[str, bool]) -> np.ndarray:
    places = {p.name: i for i, p in enumerate(found.predicates)}
    return np.logical_and.reduce([found.rows[:, places[n]] == h for n, h in settled.items()])


def kinds(program: Program) -> list[str]:
    return [node.op_type for node in program.graph]


def decisions(program: Program) -> list[str]:
    return [o.name for o in program.manifest.outputs if o.role == "decision"]


def test_a_closed_layer_goes_with_its_gate_and_an_open_one_keeps_no_gate() -> None:
    program = layers()
    program.manifest = dataclasses.replace(
        program.manifest,
        rates=(Rate("first.on", 0.5), Rate("second.on", 0.5)),
        losses=(
            LossTerm(
                "rate",
                "first",
                1.0,
                "rate",
                {"decisions": ["first", "second"], "costs": [[1.0, 1.0], [2.0, 3.0]]},
            ),
        ),
    )
    closed = pruned(program, {"first.on": False})
    names = {node.name for node in closed.graph}
    assert names == {
        "stem", "stem.relu", "second.in.pool", "second.in.flat", "second.fc", "second.scores",
        "second", "second.on", "h", "second.select", "dense", "twice",
        "head.pool", "head.flat", "head.fc",
    }  # fmt: skip
    assert decisions(closed) == ["second"] and closed.stage == "dynamic"
    assert closed.manifest.rates == (Rate("second.on", 0.5),)
    (term,) = closed.manifest.losses
    assert term.output == "second"
    assert term.settings == {"decisions": ["second"], "costs": [[2.0, 3.0]]}
    assert not [name for name in closed.graph.initializers if name.startswith(("first", "f."))]
    both = pruned(closed, {"second.on": True})
    assert both.stage == "static" and decisions(both) == [] and both.manifest.losses == ()
    assert {n.name for n in both.graph} == {
        "stem", "stem.relu", "h", "dense", "twice", "head.pool", "head.flat", "head.fc",
    }  # fmt: skip
    assert [e.by for e in both.manifest.journal] == ["prune", "prune"]


def test_a_column_that_is_still_read_keeps_its_gate_and_others_weigh_nothing(
    source: Callable[..., Program],
) -> None:
    program = convert(source("resnet20"), "bypass", gate="stage", cost="macs")
    before = {t.name: t for t in program.manifest.losses}["rate"].settings
    made = check(program, ["gates.stage1.runs", "gates.stage1.3.runs"], 0, images(program))
    after = {t.name: t for t in made.manifest.losses}["rate"].settings
    assert after["decisions"] == before["decisions"] == decisions(made)
    assert after["costs"][0] == [0, before["costs"][0][1], 0]
    assert after["costs"][1:] == before["costs"][1:]
    whole = pruned(made, {"gates.stage1.2.runs": True})
    assert decisions(whole) == before["decisions"][1:]
    assert len(whole.manifest.rates) == 6


@pytest.mark.parametrize("row", [0, 3])
def test_a_pruned_resnet_computes_the_same_for_those_that_agree(
    source: Callable[..., Program], row: int
) -> None:
    program = base.run(source("resnet20"), [InsertBypass()])
    names = [p.name for p in decide(program, images(program), {}).predicates]
    some = check(program, names[row::4], row, images(program))
    assert some.stage == "dynamic" and len(decisions(some)) == 9 - len(names[row::4])
    check(program, names, row, images(program))
    if not row:
        lower_program(some)  # which compares the lowered network with it


def test_a_static_network_is_left_that_can_be_converted_again(
    source: Callable[..., Program],
) -> None:
    source_net = source("resnet20")
    source_net.manifest = dataclasses.replace(
        source_net.manifest, normalisation=Normalisation((0.5,) * 3, (0.2,) * 3), classes=("a", "b")
    )
    program = convert(source_net, "bypass")
    names = [r.predicate for r in program.manifest.rates]
    closed = {"gates.stage1.2.runs", "gates.stage2.runs", "gates.stage3.3.runs"}
    made = pruned(program, {name: name not in closed for name in names})
    manifest = made.manifest
    assert (made.stage, manifest.recipe, manifest.options, manifest.losses) == (
        "static",
        None,
        {},
        (),
    )
    assert (manifest.runtime_inputs, manifest.rates, manifest.partition) == ((), (), ())
    assert manifest.normalisation == Normalisation((0.5,) * 3, (0.2,) * 3)
    assert manifest.classes == ("a", "b")
    assert [o.name for o in manifest.outputs] == [v.name for v in made.graph.outputs] == ["logits"]
    assert not [name for name in made.graph.initializers if name.startswith(("gates", "tau"))]
    parts = anatomy(made)
    assert [len(stage.blocks) for stage in parts.stages] == [2, 2, 2]
    assert kinds(source_net).count("Conv") - kinds(made).count("Conv") == 6
    assert kinds(source_net).count("Relu") - kinds(made).count("Relu") == 6  # x is not negative
    again = convert(made, "bypass")
    assert len(again.manifest.rates) == 6


@pytest.mark.parametrize("filters", [1, 2])
def test_a_dense_layer_leaves_zeros_where_its_channels_were(
    source: Callable[..., Program], filters: int
) -> None:
    """What follows may not take zeros for nothing: its BatchNormalization shifts them."""
    program = base.run(source("densenet16", growth=4), [InsertBypass(filters=filters)])
    x = images(program)
    names = [p.name for p in decide(program, x, {}).predicates]
    rows = decide(program, x, {}).rows
    row = int(rows.sum(1).argmin())
    made = check(program, names, row, x)
    closed = len(names) - int(rows[row].sum())
    assert made.stage == "static" and closed > 1
    assert 0 < kinds(made).count("Pad") <= closed
    if filters == 1:
        assert sum(len(stage.blocks) for stage in anatomy(made).stages) == 6 - closed
    scores = to_torch(made).eval()(torch.from_numpy(x))[made.graph.outputs[0].name]
    wanted = predictions(made, {made.data_inputs[0].name or "": x})[0]
    np.testing.assert_allclose(scores.detach().numpy(), wanted, atol=1e-4)
    if filters == 2:  # again, in a place whose names were used before
        again = convert(made, "bypass")
        left = [rate.predicate for rate in again.manifest.rates]
        assert pruned(again, dict.fromkeys(left, False)).stage == "static"


def test_groups_of_filters_that_all_go_take_the_block_with_them(
    source: Callable[..., Program],
) -> None:
    program = base.run(source("resnet8"), [InsertBypass(filters=2)])
    made = pruned(program, {f"gates.stage1.runs.{group}": False for group in (0, 1)})
    assert not [
        node.name for node in made.graph if "filters" in node.name and "stage1" in node.name
    ]
    pads = kinds(source("resnet8")).count("Pad")  # of shortcuts
    assert kinds(made).count("Pad") == pads
    half = pruned(program, {"gates.stage1.runs.0": False, "gates.stage1.runs.1": True})
    assert kinds(half).count("Pad") == pads + 1
    check(program, ["gates.stage1.runs.0", "gates.stage2.runs.1"], 0, images(program))


def test_a_branch_that_is_never_picked_goes_with_its_classifier(
    source: Callable[..., Program],
) -> None:
    program = convert(source("resnet8"), "dynk", branches=4, k=2, split="stage2")
    x = images(program)
    found = decide(program, x, {})
    never = "branches.3.picked"
    row = int(found.rows[:, [p.name for p in found.predicates].index(never)].argmin())
    made = check(program, [never], row, x)
    assert decisions(made) == ["picked"] and made.manifest.runtime_inputs
    assert not [name for name in made.graph.initializers if name.startswith("branches.3")]
    gone = {t.output for t in program.manifest.losses} - {t.output for t in made.manifest.losses}
    assert len(gone) == 1 and gone.pop().startswith("branches.3")
    lower_program(made)


def test_exits_that_nobody_takes_and_that_everybody_takes(source: Callable[..., Program]) -> None:
    program = base.run(
        source("resnet20"), [InsertExits(("stage2", "stage3"), decision=Confidence(tau=0.2))]
    )
    first, second = (f"exits.{i}.predicate" for i in range(2))
    never = pruned(program, {first: False})
    assert [e.name for e in never.manifest.runtime_inputs] == ["tau"]
    assert not [n.name for n in never.graph if n.name.startswith("exits.0")]
    training = [o.name for o in never.manifest.outputs if o.role == "training"]
    assert training == ["exits.1.logits", "exits.2.logits"]
    always = pruned(program, {first: True})
    assert always.stage == "static" and [v.name for v in always.graph.outputs] == ["logits"]
    assert len(anatomy(always).stages) == 1
    found = decide(program, images(program), {})
    for row in range(3):
        check(program, [first, second], row, images(program))
    assert found.rows.any()


@pytest.mark.parametrize("collaboration", ["identity", "learned"])
@pytest.mark.parametrize("taken", [(False, False), (True, False), (False, True)])
def test_exits_can_be_put_again_into_what_is_left_of_some(
    source: Callable[..., Program], collaboration: str, taken: tuple[bool, bool]
) -> None:
    """A classifier that stays, for others build on it or for it is the end now, keeps its name."""
    options = {"at": "stage2,stage3", "classifier": "linear", "collaboration": collaboration}
    program = convert(source("resnet14"), "exits", **options)
    left = pruned(program, {f"exits.{i}.predicate": held for i, held in enumerate(taken)})
    kept = {name for name in left.graph.initializers if name.startswith("exits.")}
    assert left.stage == "static" and kept
    again = convert(left, "exits", exits=1, classifier="linear", collaboration=collaboration)
    assert kept < {name for name in again.graph.initializers if name.startswith("exits.")}
    values = [v.name for node in again.graph for v in node.outputs]
    assert len({*values, *again.graph.initializers}) == len(values) + len(again.graph.initializers)
    assert decisions(again) == ["exits.0.sure"]
    assert [t.output for t in again.manifest.losses] == ["exits.1.logits", "exits.0.logits"]
    x = images(left)
    everybody = {"input": x, "tau": np.full((1, 1), np.inf, np.float32)}
    (wanted,), (got,) = predictions(left, everybody), predictions(again, everybody)
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    lower_program(again)


def test_what_lies_within_a_closed_region_goes_with_it() -> None:
    made = pruned(nested(), {"outer.on": False})
    assert made.stage == "static"
    assert {node.name for node in made.graph} == {"stem", "head.pool", "head.flat", "head.fc"}
    inner = pruned(nested(), {"inner.on": True})
    assert inner.stage == "dynamic" and "g" in {node.name for node in inner.graph}
    check(nested(), ["outer.on", "inner.on"], 0, IMAGES)


def test_an_unknown_predicate_is_refused() -> None:
    with pytest.raises(ModelError, match=r"no predicate 'first\.of': did you mean 'first\.on'"):
        pruned(layers(), {"first.of": True})
