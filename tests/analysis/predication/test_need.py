"""Need: regions of nested and shared Selects, and how often each node runs."""

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.analysis.predication.need import SHARE, alive, region, shares
from hydrafy.errors import ModelError
from hydrafy.ir.manifest import Manifest, Output, Rate
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from tests.train.programs import Sketch


class Nested:
    """`outer ? f(inner ? g(x) : h(s)) : s`, where s = shared(x) and t is for training only."""

    def __init__(self) -> None:
        s = Sketch(("N", 4, 5, 5))
        flags = ir.val("flags", ir.DataType.BOOL, ["N", 2])
        s.graph.inputs.append(flags)
        preds = [
            s.op("Gather", [flags, s.weight(f"i{n}", np.array(n))], name, axis=1)
            for n, name in enumerate(("outer", "inner"))
        ]
        shared = s.conv(s.x, "shared", 4, 1)
        g = s.op("Relu", [s.conv(s.x, "g", 4, 1)], "g.relu")
        h = s.conv(shared, "h", 4, 1)
        chosen = s.op("Select", [preds[1], g, h], "inner.select")
        f = s.conv(chosen, "f", 4, 1)
        y = s.op("Select", [preds[0], f, shared], "outer.select")
        t = s.conv(g, "t", 4, 1)
        self.program = s.program(
            y,
            t,
            manifest=Manifest(
                stage="dynamic",
                outputs=(Output(y.name, "prediction"), Output(t.name, "training")),
                rates=(Rate("outer", 0.5), Rate("inner", 0.25)),
            ),
        )

    def node(self, name: str) -> ir.Node:
        return next(n for n in self.program.graph if n.name == name)

    def region(self, select: str, side: str, everything: bool = False) -> set[str]:
        among = None if everything else alive(self.program)
        return {n.name for n in region(self.node(select), side, among)}


def test_what_is_alive_leaves_out_training() -> None:
    nested = Nested()
    names = {n.name for n in nested.program.graph}
    assert {n.name for n in alive(nested.program)} == names - {"t"}
    assert {n.name for n in alive(nested.program, ("training",))} == {"g", "g.relu", "t"}


def test_regions() -> None:
    nested = Nested()
    inside = {"f", "inner.select", "inner", "g", "g.relu", "h"}
    assert nested.region("outer.select", "a") == inside
    assert nested.region("outer.select", "b") == set()  # shared is used on both sides
    assert nested.region("inner.select", "a") == {"g", "g.relu"}
    assert nested.region("inner.select", "b") == {"h"}
    # with the training output t, g is used outside of every Select
    assert nested.region("outer.select", "a", everything=True) == inside - {"g", "g.relu"}
    assert nested.region("inner.select", "a", everything=True) == set()


def test_a_region_is_in_reverse_order_and_stops_at_what_may_not_move() -> None:
    nested = Nested()
    select = nested.node("outer.select")
    among = alive(nested.program)
    order = {node: place for place, node in enumerate(nested.program.graph)}
    found = region(select, "a", among)
    for node in found:
        for value in node.inputs:
            if value.producer() in found:
                assert order[value.producer()] < order[node]
    stays = region(select, "a", among, lambda n: n.name != "inner.select")
    assert [n.name for n in stays] == ["f"]


def test_a_value_on_both_sides_of_one_select_is_in_neither_region() -> None:
    s = Sketch(("N", 4))
    flags = ir.val("pred", ir.DataType.BOOL, ["N"])
    s.graph.inputs.append(flags)
    a = s.op("Relu", [s.x], "a")
    y = s.op("Select", [flags, a, a], "y")
    s.program(y, manifest=Manifest(stage="dynamic"))
    assert region(y.producer(), "a") == region(y.producer(), "b") == []


def test_an_output_is_in_no_region() -> None:
    s = Sketch(("N", 4))
    flags = ir.val("pred", ir.DataType.BOOL, ["N"])
    s.graph.inputs.append(flags)
    a = s.op("Relu", [s.op("Relu", [s.x], "first")], "a")
    y = s.op("Select", [flags, a, s.x], "y")
    program = s.program(y, a, manifest=Manifest(stage="dynamic", rates=(Rate("pred", 0.5),)))
    assert region(y.producer(), "a") == []
    assert {n.name: share for n, share in shares(program).items()} == {"first": 1, "a": 1, "y": 1}


SHARES = {
    "outer": 1.0,
    "inner": 0.5,
    "shared": 1.0,
    "g": 0.125,
    "g.relu": 0.125,
    "h": 0.375,
    "inner.select": 0.5,
    "f": 0.5,
    "outer.select": 1.0,
    "t": 0.0,
}


def test_shares_multiply_along_nested_regions() -> None:
    nested = Nested()
    assert {n.name: share for n, share in shares(nested.program).items()} == SHARES


def test_a_predicate_without_a_rate_counts_on_both_sides() -> None:
    nested = Nested()
    nested.program.manifest = Manifest(
        stage="dynamic", outputs=nested.program.manifest.outputs, rates=(Rate("outer", 0.5),)
    )
    found = {n.name: share for n, share in shares(nested.program).items()}
    assert (found["g"], found["h"], found["f"]) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("kind", ["Conv"])
def test_the_lowered_program_keeps_the_shares(kind: str) -> None:
    lowered: Program = base.run(Nested().program, lower.pipeline())
    found = {n.name: share for n, share in shares(lowered).items() if n.op_type == kind}
    assert found == {name: SHARES[name] for name in ("shared", "g", "h", "f")}


@pytest.mark.parametrize("text", ["", "half", "1.5", "-1", "nan", "[0.5]"])
def test_a_share_that_is_none_is_refused(text: str) -> None:
    lowered: Program = base.run(Nested().program, lower.pipeline())
    node = next(n for n in lowered.graph.all_nodes() if SHARE in n.metadata_props)
    node.metadata_props[SHARE] = text
    with pytest.raises(ModelError, match=r"has the share .*: lower the network again"):
        shares(lowered)
