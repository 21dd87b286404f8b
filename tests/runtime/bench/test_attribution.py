"""Attribution: each node of a profile counts for one part, and disturbed runs do not count."""

from collections.abc import Callable

import numpy as np
import pytest

from hydrafy.execute.profile import Event, Trace, profile
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.passes.bypass import InsertBypass
from hydrafy.runtime.bench.attribution import (
    GATES,
    HEAD,
    ROWS,
    RUNTIME,
    STEM,
    Places,
    bare,
    origin,
    times,
)
from hydrafy.runtime.targets import int8
from tests.passes.dynamic import IMAGES, nested


def test_what_the_optimiser_puts_behind_a_name_goes() -> None:
    assert bare("a.conv_nchwc") == "a.conv"
    assert bare("ReorderOutput_token_12") == "ReorderOutput"
    assert bare("nchwc.conv_1") == "nchwc.conv_1"


def test_a_node_that_was_made_of_another_is_found() -> None:
    known = {"a.conv", "b.Add", "c"}
    assert origin("a.conv.folded_nchwc", known) == origin("fused a.conv", known) == "a.conv"
    assert origin("b.Add.inside", known) == origin("b.Add_DequantizeLinear", known) == "b.Add"
    assert origin("c.conv_token_3", known) == "c"
    assert origin("c.a.if", known) is None


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_what_computes_is_not_taken_for_what_moves_rows(
    source: Callable[..., Program], precision: str
) -> None:
    dense = base.run(source("resnet8", width=16), [InsertBypass(tau=0)])
    image = np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32)
    made = dense if precision == "float32" else int8(dense, image)
    lowered = base.run(made.clone(), lower.pipeline())
    places = Places.of(dense, lowered)
    (trace,) = profile(lowered, [{"input": image}])
    computing = [e for e in trace.events if e.op.endswith(("Conv", "Gemm", "Add", "Relu"))]
    assert len(computing) > 15
    assert not [event for event in computing if places.part(event) == ROWS]


def test_every_node_has_its_part() -> None:
    lowered = base.run(nested(), lower.pipeline())
    places = Places.of(nested(), lowered)
    (trace,) = profile(lowered, [{"x": IMAGES}])
    parts = {bare(event.name): places.part(event) for event in trace.events}
    assert parts["stem"] == STEM
    assert parts["head.fc"] == HEAD
    assert parts["outer.fc"] == GATES
    assert parts["g"] == "outer.on"
    assert parts["f"] == "inner.on"
    ifs = {places.part(event) for event in trace.events if event.op == "If"}
    gathers = {places.part(event) for event in trace.events if event.op == "GatherND"}
    assert ifs == gathers == {ROWS}
    bodies = {
        part for name, part in parts.items() if name.startswith("outer.") and ".on" not in name
    }
    assert GATES in bodies


def trace(spent: float, total: float) -> Trace:
    return Trace(total, (Event("stem_nchwc", "Conv", spent, (), (), ()),))


def test_shares_are_of_the_mean_run_without_disturbances() -> None:
    places = Places({}, {"stem": STEM}, frozenset({"stem"}))
    found = times([trace(60, 100), trace(60, 100), trace(60, 9000)], places)
    assert [(part.name, round(part.share, 6)) for part in found] == [(STEM, 0.6), (RUNTIME, 0.4)]
    half = times([trace(60, 100), Trace(40, ())], places)  # it ran for one image of two
    assert {part.name: round(part.share, 6) for part in half} == {STEM: 0.428571, RUNTIME: 0.571429}
