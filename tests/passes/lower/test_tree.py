"""A tree of Ifs runs the one region that is picked, and is proven and counted like any other."""

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings

from hydrafy.analysis.predication.choices import leaves
from hydrafy.analysis.predication.executed import work
from hydrafy.analysis.predication.regions import regions
from hydrafy.errors import VerifyError
from hydrafy.execute.profile import profile
from hydrafy.execute.session import Session
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.passes.base import Pass
from hydrafy.passes.lower.row_ifs import is_row_if
from hydrafy.passes.lower.sink import Sink
from hydrafy.passes.lower.tree import codes
from hydrafy.runtime.bench.attribution import ROWS, Places
from hydrafy.runtime.bench.decided import decide, predicates
from hydrafy.runtime.convert import convert
from hydrafy.runtime.foresee import foresee
from hydrafy.runtime.lower import Lowering, lower_program, unproven
from hydrafy.runtime.verify import verify, verify_lowered
from tests.passes.predicated import Net, choosing, feeds, run

SINGLE = Lowering(single=True)


def lowered(program: Program, *extra: Pass) -> Program:
    passes = lower.pipeline(single=True)
    at = next(i for i, item in enumerate(passes) if isinstance(item, Sink)) + 1
    return base.run(program.clone(), [*passes[:at], *extra, *passes[at:]])


def rows(program: Program, given: dict[str, np.ndarray]) -> np.ndarray:
    """The first output, image by image."""
    session, count = Session(program, threads=1), len(given["x"])
    one = ({k: v[i : i + 1] if v.ndim else v for k, v in given.items()} for i in range(count))
    return np.concatenate([run(session, part)[0] for part in one])


def choice(columns: int, *, further: bool = False) -> Program:
    """A convolution, and a branch behind it: one convolution in the even ones, else two.

    Its image is pooled, or goes through a further convolution first.
    """
    net = Net()
    x = net.conv(net.x)
    picked = net.gate(net.linear(net.pooled(x), columns), k=1, fixed=False, told=True)
    branches = [net.conv(net.conv(x) if i % 2 else x) for i in range(columns)]
    chosen = (net.select(p, y, net.zero()) for p, y in zip(picked, branches, strict=True))
    total = net.op("Sum", *chosen)
    return net.program(net.pooled(net.conv(total) if further else total))


def ifs(graph: ir.Graph) -> int:
    """Ifs on the longest way through a graph that has one at most, and so in each of them."""
    found = [node for node in graph if node.op_type == "If"]
    assert len(found) <= 1
    inner = (a.as_graph() for node in found for a in node.attributes.values())
    return len(found) + max(map(ifs, inner), default=0)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(choosing())
def test_lowered_is_dense(program: Program) -> None:
    given = feeds(8, seed=1, everything=True)
    (wanted, *_) = run(Session(program, threads=1), given)
    np.testing.assert_allclose(rows(lowered(program), given), wanted, atol=1e-4)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(choosing())
def test_what_is_made_is_proven(program: Program) -> None:
    assert verify_lowered(program, lowered(program)).reached >= 1


class PoisonOthers(Pass):
    """What the regions of columns that are not picked return is NaN."""

    name = "poison-others"

    def apply(self, program: Program) -> list[str]:
        for node in list(program.graph):
            if is_row_if(node) and "a" in node.attributes:
                inner, name = node.attributes["a"].as_graph(), f"{node.name}.poison"
                nan = build.weight(inner, f"{name}.nan", np.array(np.nan, np.float32))
                clean = build.op("Where", [node.inputs[0], inner.outputs[0], nan], name)
                clean.outputs[0].shape = inner.outputs[0].shape
                inner.append(clean)
                inner.outputs[0] = clean.outputs[0]
        return []


@pytest.mark.parametrize("columns", [2, 3, 5, 8])
def test_what_is_not_picked_may_be_anything(columns: int) -> None:
    program, given = choice(columns), feeds(64, seed=2, everything=True)
    (wanted, picked) = run(Session(program, threads=1), given)
    assert picked.any(0).sum() > columns / 2
    np.testing.assert_allclose(rows(lowered(program, PoisonOthers()), given), wanted, atol=1e-5)


@pytest.mark.parametrize(("columns", "depth"), [(2, 1), (3, 2), (4, 2), (5, 3), (20, 5)])
def test_the_way_to_a_region_is_short(columns: int, depth: int) -> None:
    low = lowered(choice(columns))
    every = [node for node in low.graph.all_nodes() if node.op_type == "If"]
    assert ifs(low.graph) == depth and len(every) == columns - 1
    assert not [node for node in low.graph.all_nodes() if node.op_type == "Sum"]


def test_each_code_leads_to_its_leaf() -> None:
    for count in range(1, 40):
        table = codes(count)
        assert len({row.tobytes() for row in table}) == count
        assert table.shape[1] == int(np.ceil(np.log2(count)))


def test_one_branch_and_branches_that_do_not_exclude_each_other_stay_as_they_were() -> None:
    for columns, k in ((1, 1), (3, 2)):
        net = Net()
        picked = net.gate(net.linear(net.pooled(net.x), columns), k=k)
        total = net.op("Sum", *(net.select(p, net.conv(net.x), net.zero()) for p in picked))
        low = lowered(net.program(net.pooled(total)))
        assert len([node for node in low.graph if node.op_type == "If"]) == columns


def test_a_sum_of_some_columns_may_be_nothing_and_stays() -> None:
    net = Net()
    picked = net.gate(net.linear(net.pooled(net.x), 3), k=1)[:2]
    total = net.op("Sum", *(net.select(p, net.conv(net.x), net.zero()) for p in picked))
    program = net.program(net.pooled(total))
    low = lowered(program)
    assert len([node for node in low.graph if node.op_type == "If"]) == 2
    given = feeds(8, seed=3, everything=True)
    np.testing.assert_allclose(rows(low, given), run(Session(program), given)[0], atol=1e-5)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_one_branch_runs_whatever_tau_is(number: float) -> None:
    program, given = choice(5), feeds(8, seed=4, everything=True)
    given["tau"] = np.full((1, 1), number, np.float32)
    wanted, picked = run(Session(program, threads=1), given)
    assert (picked.sum(1) == 1).all()
    low = Session(lowered(program), threads=1)
    for i in range(8):
        one = {"x": given["x"][i : i + 1], "tau": given["tau"]}
        found, mine = run(low, one)
        np.testing.assert_array_equal(mine, picked[i : i + 1])
        np.testing.assert_allclose(found, wanted[i : i + 1], atol=1e-5)


def test_scores_that_are_nan_pick_the_same_branch() -> None:
    """An image of NaNs: both forms decide alike, and for one branch."""
    program = choice(5)
    given = {"x": np.full((1, 4, 6, 6), np.nan, np.float32)}
    (one, mine), (two, other) = (
        run(Session(p, threads=1), given) for p in (program, lowered(program))
    )
    assert mine.sum() == 1
    np.testing.assert_array_equal(mine, other)
    np.testing.assert_array_equal(one, two)


@pytest.fixture(scope="module")
def dynk(source: Callable[..., Program]) -> Program:
    program = convert(source("resnet8"), "dynk", branches=5, k=1, tau=0.0, split="stage2")
    rng = np.random.default_rng(0)
    for name, value in program.graph.initializers.items():
        if name.startswith("branches.") and name.endswith(".weight"):
            shape = value.shape.numpy()
            program.set_weight(name, rng.standard_normal(shape).astype(np.float32) / 10)
    return program


@pytest.mark.parametrize("target", ["portable", "native"])
def test_dynk_becomes_a_tree_whose_regions_have_their_weights(dynk: Program, target: str) -> None:
    low, found = lower_program(dynk, Lowering(target, single=True))
    assert found.reached == 5
    assert [note for e in low.manifest.journal for note in e.notes if "is a tree of Ifs" in note]
    outer = [v.name for v in low.graph.initializers.values() if "branches." in (v.name or "")]
    assert not [name for name in outer if "weight" in name]
    assert verify(dynk, low).reached == 5
    assert verify(low, unproven(dynk, SINGLE)).reached == 5


def test_macs_executed_are_those_of_the_dense_form() -> None:
    program = choice(5)
    decided = decide(program, feeds(16, seed=5, everything=True)["x"], {})
    forms = (program, lowered(program), unproven(program, Lowering("native", single=True)))
    dense, *counts = (
        sum(one.macs * one.runs(decided.found, 16) for one in work(form)) for form in forms
    )
    assert len(set(dense.tolist())) > 1
    for count, gate in zip(counts, (0, 5), strict=True):  # its own, where the shape is known
        np.testing.assert_array_equal(count, dense + gate)


@pytest.mark.parametrize("compare", [verify_lowered, verify])
def test_exchanged_branches_are_noticed(compare: Callable[[Program, Program], object]) -> None:
    program = choice(5)
    for against in (program, lowered(program)):
        low = lowered(program)
        root = next(node for node in low.graph if node.op_type == "If")
        left, right = (root.attributes[k].as_graph() for k in ("then_branch", "else_branch"))
        for name, graph in (("then_branch", right), ("else_branch", left)):
            root.attributes[name] = ir.AttrGraph(name, graph)
        if against is program or compare is verify:
            with pytest.raises(VerifyError, match="differs by"):
                compare(against, low)


def test_a_branch_that_computes_something_else_is_named() -> None:
    program = choice(5, further=True)
    low = lowered(program)
    root = next(node for node in low.graph if node.op_type == "If")
    leaf, predicate = list(leaves(root))[3]
    node = next(node for node in leaf if node.op_type == "Conv")
    kernel = node.inputs[1].const_value.numpy()
    node.inputs[1].const_value = ir.tensor(kernel * 2, name=node.inputs[1].name)
    with pytest.raises(VerifyError, match=f"the first difference is in region '{leaf.name}'"):
        verify_lowered(program, low)
    assert predicate.column == 3


def test_halves_have_trees_too(dynk: Program) -> None:
    low, found = lower_program(dynk, Lowering(precision="float16", single=True))
    root = next(node for node in low.graph if node.op_type == "If")
    assert found.reached == len(list(leaves(root))) == 5


def test_time_and_work_are_told_by_branch() -> None:
    program = choice(5)
    low = unproven(program, SINGLE)
    names = [one.name for one in predicates(program)]
    assert [(one.predicate, one.side) for one in regions(low)] == [(name, "a") for name in names]
    images = feeds(16, seed=6, everything=True)["x"]
    places = Places.of(program, low)
    for image, row in zip(images, decide(program, images, {}).rows, strict=True):
        (trace,) = profile(low, [{"x": image[None]}])
        parts = {places.part(e) for e in trace.events if e.regions and e.op.endswith("Conv")}
        assert parts == {names[int(row.argmax())]}
        assert {places.part(e) for e in trace.events if e.op == "If"} == {ROWS}


def test_no_other_rate_is_foreseen_than_that_of_one_branch() -> None:
    found = foresee(unproven(choice(5), SINGLE))
    assert found is not None
    (size,) = found.sizes
    for point in size.points:
        assert point.skipped == pytest.approx(found.skipped)
        assert point.milliseconds == pytest.approx(size.milliseconds)
    assert pytest.approx(found.skipped, abs=0.05) == 0.8
