"""What dynk makes of a network: its costs are those it predicted, its parts are the papers'."""

import itertools
from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.analysis.anatomy import anatomy
from hydrafy.analysis.cost import cost, expected
from hydrafy.analysis.predication.need import shares
from hydrafy.errors import HydrafyError, ModelError, OptionError
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.recipes.dynk import BUDGET, Dynk
from hydrafy.runtime.convert import convert

SETTINGS = [
    {},
    {"branch_width": 1.0, "gate_width": 1.0, "gate_depth": 0, "gate_pool": 1},
    {"branch_width": 0.5, "gate_width": 0.3, "gate_depth": 0, "combiner": "dense"},
    {"branches": 10, "k": 4, "gate_pool": 3, "combiner": "mean"},
    {"branches": 1, "k": 1, "gate_pool": 100},
]
NETWORKS = [
    ("resnet14", {}),
    ("resnet14", {"shortcut": "B", "fold": True}),
    ("resnet14", {"exporter": "dynamo"}),
    ("bottleneck", {}),
]


@pytest.mark.parametrize(("name", "options"), NETWORKS, ids=str)
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_the_cost_is_predicted_to_the_last_mac(
    source: Callable[..., Program],
    name: str,
    options: dict[str, object],
    setting: dict[str, object],
) -> None:
    setting = {"branches": 4, "k": 2, **setting}
    program = source(name, **options)
    found = anatomy(program)
    for site, block in found.sites().items():
        predicted = Dynk(**setting).executed(cost(program).macs, found, block.entry)
        made = convert(program, "dynk", split=site, **setting)
        assert predicted == pytest.approx(expected(shares(made)).macs, abs=2), site


@pytest.mark.parametrize(("name", "options"), NETWORKS, ids=str)
@pytest.mark.parametrize("setting", [{}, {"branch_width": 0.5}, {"branch_width": 1.0}], ids=str)
def test_the_default_split_is_the_deepest_that_saves_a_quarter(
    source: Callable[..., Program],
    name: str,
    options: dict[str, object],
    setting: dict[str, object],
) -> None:
    setting = {"branches": 4, "k": 2, **setting}
    program = source(name, **options)
    whole = cost(program).macs
    spent = {
        site: expected(shares(convert(program, "dynk", split=site, **setting))).macs
        for site in anatomy(program).sites()
    }
    good = [site for site, macs in spent.items() if macs <= BUDGET * whole]
    wanted = good[-1] if good else min(spent, key=lambda site: spent[site])
    made = convert(program, "dynk", **setting)
    assert made.manifest.options["split"] == wanted, spent


def test_losses_and_their_weights(source: Callable[..., Program]) -> None:
    made = convert(source("resnet8"), "dynk", branches=4, k=2)
    manifest = made.manifest
    losses = {t.name: t for t in manifest.losses}
    assert list(losses) == ["final", "gate", *(f"branches.{b}" for b in range(4))]
    assert [t.weight for t in manifest.losses] == [1.0, 1.5, *[0.05] * 4]
    assert {t.kind for t in manifest.losses} == {"cross_entropy"}
    assert (losses["final"].output, losses["final"].settings) == ("logits", {})
    assert (losses["gate"].output, losses["gate"].settings) == ("gate.logits", {"target": "group"})
    for b, group in enumerate(manifest.partition):
        assert losses[f"branches.{b}"].settings == {"classes": [*group]}
    assert sorted(itertools.chain(*manifest.partition)) == list(range(10))
    roles = {o.name: o.role for o in manifest.outputs}
    assert roles == {
        "logits": "prediction",
        "picked": "decision",
        "gate.logits": "training",
        **{f"branches.{b}.logits": "training" for b in range(4)},
    }
    assert {v.name for v in made.graph.outputs} == set(roles)
    shapes = {v.name: list(v.shape)[1:] for v in made.graph.outputs}
    assert shapes["picked"] == shapes["gate.logits"] == [4]
    assert shapes["branches.3.logits"] == shapes["logits"] == [10]
    assert {r.share for r in manifest.rates} == {0.5} and len(manifest.rates) == 4


def test_the_manifest_remembers_all_options(source: Callable[..., Program]) -> None:
    made = convert(source("resnet8"), "dynk", branches="4", k=2, split="stage3", tau=0.2)
    assert made.manifest.recipe == "dynk" and made.stage == "dynamic"
    assert Dynk(**made.manifest.options) == Dynk(branches=4, k=2, split="stage3", tau=0.2)
    assert made.manifest.source_sha256 == source("resnet8").manifest.source_sha256


@pytest.mark.parametrize(("width", "neutral"), [(1.0, 0.0), (0.5, None)])
def test_the_runtime_input(
    source: Callable[..., Program], width: float, neutral: float | None
) -> None:
    made = convert(source("resnet8"), "dynk", branches=4, k=2, branch_width=width, tau=0.3)
    (entry,) = made.manifest.runtime_inputs
    assert (entry.name, entry.minimum, entry.maximum, entry.neutral) == ("tau", 0.0, 1.0, neutral)
    np.testing.assert_array_equal(made.weight("tau"), np.full((1, 1), 0.3, np.float32))
    session = Session(made)
    x = np.random.default_rng(0).standard_normal((5, 3, 16, 16)).astype(np.float32)
    for shape in [(), (1,), (1, 1), (5, 1), (1, 4), (5, 4)]:
        if len(shape) != 2:
            continue
        open_, shut = (np.full(shape, v, np.float32) for v in (0, 1))
        assert session.run({"input": x, "tau": open_})["picked"].sum(1).tolist() == [2] * 5
        assert session.run({"input": x, "tau": shut})["picked"].sum(1).tolist() == [1] * 5


def test_a_row_of_the_gate_is_the_mean_of_its_classes(source: Callable[..., Program]) -> None:
    program = source("resnet8")
    made = convert(program, "dynk", branches=3, k=1, gate_width=1.0)
    rows = program.weight("fc.weight")
    for b, group in enumerate(made.manifest.partition):
        np.testing.assert_allclose(
            made.weight("gate.fc.weight")[b], rows[list(group)].mean(0), rtol=1e-5
        )
        np.testing.assert_array_equal(made.weight(f"branches.{b}.fc.weight"), rows)


def test_the_branches_differ_in_nothing_at_first(source: Callable[..., Program]) -> None:
    made = convert(source("resnet8"), "dynk", branches=3, k=1)
    names = [n for n in made.graph.initializers if n.startswith("branches.0.") and "index" not in n]
    assert len(names) > 5
    for name in names:
        for b in (1, 2):
            twin = made.weight(name.replace("branches.0.", f"branches.{b}."))
            np.testing.assert_array_equal(twin, made.weight(name))


def test_the_tail_of_the_source_is_gone(source: Callable[..., Program]) -> None:
    made = convert(source("resnet8"), "dynk", branches=3, k=1)
    parts = {n.name.split(".")[0] for n in made.graph}
    assert parts == {"stem", "gate", "picked", "branches", "combiner", "head"}
    trained = [v for v in made.graph.initializers.values() if v.dtype == ir.DataType.FLOAT]
    assert {v.name.split(".")[0] for v in trained} <= parts | {"tau", "nothing"}


def test_what_has_no_place_is_refused(source: Callable[..., Program]) -> None:
    with pytest.raises(OptionError, match="10 classes, too few for 20 branches: set branches=10"):
        convert(source("resnet8"), "dynk")
    with pytest.raises(ModelError, match=r"'stage9'.*stage1 \(1 blocks\)"):
        convert(source("resnet8"), "dynk", branches=3, k=1, split="stage9")
    with pytest.raises(HydrafyError, match="did you mean"):
        convert(source("resnet8"), "dynk", branchs=3)
