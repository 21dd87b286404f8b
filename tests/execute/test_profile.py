"""Profiles: every node once a run, inside of the regions that it ran in, with its own time."""

import numpy as np
import pytest

from hydrafy.execute.profile import profile
from hydrafy.passes import base, lower
from tests.passes.dynamic import IMAGES, nested


def test_nodes_are_told_with_the_regions_that_they_ran_in() -> None:
    lowered = base.run(nested(), lower.pipeline())
    ifs = [node.name for node in lowered.graph.all_nodes() if node.op_type == "If"]
    first, second = profile(lowered, [{"x": IMAGES[:8]}, {"x": IMAGES[:0]}])
    inside = {event.name.removesuffix("_nchwc"): event.regions for event in first.events}
    assert inside["stem"] == ()
    assert len(inside["g"]) == 1 and inside["g"][0] in ifs
    assert len(inside["f"]) == 2 and inside["f"][0] == inside["g"][0]
    assert all(not event.regions or event.op == "Constant" for event in second.events)
    assert {event.op for event in second.events} >= {"If"}


def test_an_if_has_its_own_time_only() -> None:
    lowered = base.run(nested(), lower.pipeline())
    (trace,) = profile(lowered, [{"x": IMAGES}])
    total = sum(event.microseconds for event in trace.events)
    assert 0 < total <= trace.microseconds * 1.05  # each If once more would be far above


def test_shapes_are_those_of_the_run() -> None:
    lowered = base.run(nested(), lower.pipeline())
    (trace,) = profile(lowered, [{"x": IMAGES[:5]}])
    (stem,) = (event for event in trace.events if event.name.removesuffix("_nchwc") == "stem")
    assert stem.op == "Conv"
    image, weight, *_ = stem.inputs
    assert image == (5, 3, 8, 8)
    assert weight in [(8, 3, 3, 3), (16, 3, 3, 3)]  # in blocks of 8 or 16 channels
    assert stem.outputs[0][0] == 5


@pytest.mark.parametrize("runs", [1, 3])
def test_a_trace_for_each_run(runs: int) -> None:
    lowered = base.run(nested(), lower.pipeline())
    traces = profile(lowered, [{"x": IMAGES[:2]}] * runs)
    assert len(traces) == runs
    assert np.unique([len(trace.events) for trace in traces]).size == 1
