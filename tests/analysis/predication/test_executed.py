"""Executed MACs: equal to a count by hand, image by image, of dense and of lowered programs."""

from collections.abc import Callable, Iterator

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrafy.analysis.cost import cost, macs
from hydrafy.analysis.predication.executed import Work, work
from hydrafy.analysis.predication.need import alive
from hydrafy.analysis.predication.predicates import CONDITION
from hydrafy.analysis.predication.sources import predicates
from hydrafy.errors import ModelError
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Manifest, Output
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.passes.cut import Cut
from hydrafy.runtime.convert import convert
from tests.passes.predicated import Net, feeds, networks, reasoned
from tests.train.programs import Sketch

ONE = 5 * 5 * 4 * 4  # MACs of a 1x1 convolution of 4 channels at 5x5


def executed(program: Program, found: dict[str, np.ndarray], images: int) -> np.ndarray:
    return sum(one.macs * one.runs(found, images) for one in work(program))


def nested(*, shared: bool = False) -> Program:
    """`outer ? f(inner ? g(x) : h(x)) : e(x)`, then a head; g also feeds the head if shared."""
    s = Sketch(("N", 4, 5, 5))
    flags = ir.val("flags", ir.DataType.BOOL, ["N", 2])
    s.graph.inputs.append(flags)
    outer, inner = (
        s.op("Gather", [flags, s.weight(f"i{n}", np.array(n))], name, axis=1)
        for n, name in enumerate(("outer", "inner"))
    )
    g = s.conv(s.x, "g", 4, 1)
    chosen = s.op("Select", [inner, g, s.conv(s.x, "h", 4, 3)], "inner.select")
    y = s.op("Select", [outer, s.conv(chosen, "f", 4, 1), s.conv(s.x, "e", 4, 3)], "outer.select")
    y = s.op("Add", [y, g], "joined") if shared else y
    outputs = (Output(y.name or "", "prediction"),)
    return s.program(y, manifest=Manifest(stage="dynamic", outputs=outputs))


FLAGS = np.array([[o, i] for o in (True, False) for i in (True, False)])


@pytest.mark.parametrize(
    ("shared", "wanted"),
    [
        (False, [2 * ONE, 10 * ONE, 9 * ONE, 9 * ONE]),  # f g, f h, e, e
        (True, [2 * ONE, 11 * ONE, 10 * ONE, 10 * ONE]),  # g always
    ],
)
def test_nested_predicates_count_together(shared: bool, wanted: list[int]) -> None:
    program = nested(shared=shared)
    assert executed(program, {"flags": FLAGS}, 4).tolist() == wanted
    low = base.run(program.clone(), lower.pipeline())
    assert executed(low, {"flags": FLAGS}, 4).tolist() == wanted


def test_correlated_predicates_are_no_product_of_rates() -> None:
    """Half of the images take both: a product of the rates 1/2 would count a quarter of g."""
    both = np.array([[True, True], [False, False]])
    assert executed(nested(), {"flags": both}, 2).tolist() == [2 * ONE, 9 * ONE]


def _computed(
    asking: Program, program: Program, feeds: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """What the conditions of one program's work are read from, computed by another form of it."""
    asked = {v for one in work(asking) for c in one.conditions for v in c.predicate.values}
    return _run(program, tuple(sorted(asked - set(feeds))), feeds)


def _run(
    program: Program, names: tuple[str, ...], feeds: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    if not names:
        return {}
    probe = base.run(program.clone(), [Cut((), names)])
    taken = {v.name for v in probe.graph.inputs}
    return Session(probe, threads=1).run({k: v for k, v in feeds.items() if k in taken})


def needed(program: Program, feeds: dict[str, np.ndarray]) -> list[int]:
    """MACs of each image by walking from the outputs, Selects entered on the side that is taken.

    A node that two sides of Selects share counts where any of these is taken, so this is the least
    that an image needs; what runs may be more, never less.
    """
    names = tuple(v.name or "" for v in predicates(program) if v.name not in feeds)
    found = {**feeds, **_run(program, names, feeds)}
    return [_walk(program, found, row) for row in range(len(feeds["x"]))]


def _walk(program: Program, found: dict[str, np.ndarray], row: int) -> int:
    seen: set[ir.Node] = set()
    waiting = [v.producer() for v in program.graph.outputs]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        inputs = list(node.inputs)
        if node.op_type == "Select":
            held = found[inputs[0].name]
            inputs = [inputs[0], inputs[1] if (held[row] if held.ndim else held) else inputs[2]]
        waiting += [v.producer() for v in inputs if v is not None]
    return sum(map(macs, seen))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.one_of(networks(), reasoned()), st.booleans(), st.sampled_from([0.5, 1.0, 2.5, 4.0]))
def test_dense_and_lowered_count_the_same_and_no_less_than_is_needed(
    program: Program, everything: bool, budget: float
) -> None:
    fed = feeds(6, seed=3, everything=everything, budget=budget)
    found = {**fed, **_computed(program, program, fed)}
    merged = base.run(program.clone(), [lower.Merge()])
    spent = executed(merged, {**fed, **_computed(merged, program, fed)}, 6)
    low = base.run(program.clone(), lower.pipeline())
    assert executed(low, {**fed, **_computed(low, low, fed)}, 6).tolist() == spent.tolist()
    assert (executed(program, found, 6) >= spent).all()
    assert (spent >= needed(program, fed)).all()


def test_without_shared_values_what_runs_is_what_is_needed() -> None:
    net = Net(decisions=4, seed=0)
    zero = net.const(np.float32(0))
    x = net.conv(net.x)
    x = net.op("Add", x, net.select(net.pred(0), net.conv(net.conv(x)), zero))
    inner = net.select(net.pred(2), net.conv(x), net.select(net.pred(3), net.conv(x), x))
    x = net.select(net.pred(1), net.conv(inner), x)
    program = net.program(net.op("GlobalAveragePool", net.select(net.all, net.conv(x), x)))
    fed = feeds(16, seed=5, everything=False)
    assert executed(program, fed, 16).tolist() == needed(program, fed)
    assert len(set(needed(program, fed))) == 4


def test_training_parts_count_nothing_and_outputs_always_run() -> None:
    net = Net(decisions=1, seed=0)
    a = net.conv(net.x)
    y = net.select(net.pred(0), a, net.const(np.float32(0)))
    watched = net.op("GlobalAveragePool", net.conv(a))
    program = net.program(net.op("GlobalAveragePool", y), watched)
    one = macs(a.producer().inputs[0].producer())
    found = {"d": np.array([[True], [False]])}
    assert executed(program, found, 2).tolist() == [2 * one, 2 * one]
    roles = (program.manifest.outputs[0], Output(watched.name or "", "training"))
    trained = Program(program.model, Manifest(stage="dynamic", outputs=roles))
    assert executed(trained, found, 2).tolist() == [one, 0]


def test_what_may_not_run_on_some_rows_counts_always() -> None:
    net = Net(decisions=1, seed=0)
    mean = net.op("ReduceMean", net.conv(net.x), net.const(np.array([0])), keepdims=1)
    joined = net.op("Add", net.conv(net.x), mean)
    y = net.select(net.pred(0), joined, net.const(np.float32(0)))
    program = net.program(net.op("GlobalAveragePool", y))
    low = base.run(program.clone(), lower.pipeline())
    one = cost(program).macs // 2
    found = {"d": np.array([[True], [False]])}
    assert executed(program, found, 2).tolist() == [2 * one, one]
    assert executed(low, found, 2).tolist() == [2 * one, one]


def test_an_output_runs_always_though_a_region_alone_uses_it() -> None:
    net = Net(decisions=1, seed=0)
    a = net.conv(net.x)
    y = net.select(net.pred(0), a, net.const(np.float32(0)))
    program = net.program(net.op("GlobalAveragePool", y), a)
    low = base.run(program.clone(), lower.pipeline())
    one, found = cost(program).macs, {"d": np.array([[True], [False]])}
    assert executed(program, found, 2).tolist() == [one, one]
    assert executed(low, found, 2).tolist() == [one, one]


def test_what_stays_outside_of_a_region_is_in_none_that_lies_in_it() -> None:
    """The mean may not run on some rows, so it is outside of the outer region; the inner one would
    take it, for it runs on all rows or on none, but does not find it."""
    net = Net(decisions=1, seed=0)
    mean = net.op("ReduceMean", net.conv(net.x), net.const(np.array([0])), keepdims=1)
    chosen = net.select(net.all, net.op("Add", net.conv(net.x), mean), net.x)
    y = net.select(net.pred(0), chosen, net.const(np.float32(0)))
    program = net.program(net.op("GlobalAveragePool", y))
    low = base.run(program.clone(), lower.pipeline())
    one = cost(program).macs // 2
    found = {"d": np.array([[True], [False]]), "all": np.array(False)}
    assert executed(program, found, 2).tolist() == [one, one]
    assert executed(low, found, 2).tolist() == [one, one]


def test_a_static_program_is_one_piece_of_work(source: Callable[..., Program]) -> None:
    program = source("resnet8")
    assert work(program) == (Work(frozenset(), cost(program).macs),)


@pytest.fixture(scope="module", params=["separable", "mean"])
def dynk(request: pytest.FixtureRequest, source: Callable[..., Program]) -> Program:
    options = {"branches": 4, "k": 2, "tau": 0.0, "split": "stage2", "combiner": request.param}
    return convert(source("resnet8"), "dynk", **options)


def test_dynk_counts_stem_gate_head_and_the_branches_that_were_picked(dynk: Program) -> None:
    """By name: what is of no branch always, of branch b where b was picked."""
    spent = {n.name: macs(n) for n in alive(dynk)}
    shared = sum(m for name, m in spent.items() if not name.startswith("branches."))
    each = [
        sum(m for name, m in spent.items() if name.startswith(f"branches.{b}.")) for b in range(4)
    ]
    picked = np.array([[1, 1, 0, 0], [0, 0, 0, 1], [1, 1, 1, 1]], bool)
    assert min(each) > 0
    wanted = [shared + sum(each[b] for b in np.flatnonzero(row)) for row in picked]
    assert executed(dynk, {"picked": picked}, 3).tolist() == wanted


def test_lowering_spends_no_more_and_says_where_it_differs(dynk: Program) -> None:
    """All that differs is that lowering pools before the projection of each branch, where the
    branches are summed without a convolution; the projection then acts on one vector."""
    low = base.run(dynk.clone(), lower.pipeline())
    picked = np.array([[1, 1, 0, 0], [0, 0, 0, 1]], bool)
    before, after = (executed(p, {"picked": picked}, 2) for p in (dynk, low))
    projections = {
        path: sum(macs(n) for n in p.graph.all_nodes() if n.name.startswith(PROJECTION))
        for path, p in (("dense", dynk), ("lowered", low))
    }
    saved = projections["dense"] - projections["lowered"]
    assert (saved > 0) == (dynk.manifest.options["combiner"] == "mean")
    assert (before - after).tolist() == [2 * saved, saved]


PROJECTION = "branches.0.projection"


def test_a_file_that_does_not_say_when_a_region_runs_is_refused(dynk: Program) -> None:
    low = base.run(dynk.clone(), lower.pipeline())
    for node in _ifs(low):
        del node.metadata_props[CONDITION]
    with pytest.raises(ModelError, match="does not say when it runs"):
        work(low)


def _ifs(program: Program) -> Iterator[ir.Node]:
    return (n for n in program.graph.all_nodes() if n.op_type == "If")
