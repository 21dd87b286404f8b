"""Loads: which nodes onnxruntime really runs, fused and in blocks, and what they compute."""

import math
from collections import Counter
from collections.abc import Callable

import pytest

from hydrafy.analysis.latency import typical
from hydrafy.analysis.loads import FUSED_IN, KINDS, Load, convolution, dense, loads
from hydrafy.analysis.predication.need import shares
from hydrafy.analysis.predication.predicates import noted
from hydrafy.ir.manifest import Manifest
from hydrafy.ir.program import Program
from hydrafy.passes import base, lower
from hydrafy.passes.bypass import InsertBypass
from hydrafy.passes.lower.batchnorm import FoldBatchNorm
from hydrafy.passes.targets.anchor import AnchorRegions
from hydrafy.runtime.bench.fit import block_of, load_of, measure
from hydrafy.runtime.convert import convert
from tests.train.programs import Sketch


def kinds(program: Program, block: int = 8) -> Counter[str]:
    return Counter(load.kind for _, load in loads(program, block))


@pytest.mark.parametrize("form", ["static", "gated", "anchored"])
@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_they_are_what_onnxruntime_runs(
    source: Callable[..., Program], shortcut: str, form: str
) -> None:
    program = base.run(source("resnet14", width=16, shortcut=shortcut).clone(), [FoldBatchNorm()])
    if form != "static":
        program = base.run(program, [InsertBypass(tau=0), *lower.pipeline()])
    if form == "anchored":
        program = base.run(program, [AnchorRegions()])
    ran = measure(program, 1)
    block = block_of([ran])
    found, wanted = Counter(), Counter()
    for load in (load_of(event, block) for event, _ in ran.nodes):
        wanted[load.kind] += 1
        wanted["macs"] += load.macs
    every = [c.predicate.name for n in program.graph.all_nodes() if (c := noted(n)) is not None]
    share = shares(program, dict.fromkeys(every, 1.0))
    for node, load in loads(program, block):
        if share[node]:  # what runs while all gates are open
            found[load.kind] += 1
            found["macs"] += load.macs
    assert found["macs"] == pytest.approx(wanted["macs"], rel=1e-3)
    for kind in ("spatial", "shallow", "pointwise", "pool", "region", "control"):
        assert found[kind] == wanted[kind], kind
    for kind in ("layout", "copy"):  # in regions onnxruntime spares some, and folds constants
        assert abs(found[kind] - wanted[kind]) <= 0.15 * wanted[kind], kind


def test_a_convolution_takes_what_follows_it() -> None:
    s = Sketch(("N", 8, 8, 8))
    first = s.op("Relu", [s.batchnorm(s.conv(s.x, "a", 8, 3), "bn")], "relu")
    second = s.op("Relu", [s.op("Add", [s.conv(first, "b", 8, 3), first], "add")], "last")
    assert kinds(s.program(second)) == {"spatial": 2, FUSED_IN: 1, "layout": 1}


def test_what_others_read_is_not_taken() -> None:
    s = Sketch(("N", 8, 8, 8))
    conv = s.conv(s.x, "a", 8, 3)
    both = s.op("Add", [s.op("Relu", [conv], "relu"), s.op("Sigmoid", [conv], "sigmoid")], "add")
    assert kinds(s.program(both)) == {"spatial": 1, "copy": 3, "layout": 1}


def test_channels_fill_blocks() -> None:
    s = Sketch(("N", 8, 4, 4))
    program = s.program(s.conv(s.x, "a", 12, 3))
    load, back = (load for _, load in loads(program, 8))
    assert back == Load("layout", bytes=2 * 4 * 12 * 16)
    assert load.macs == 16 * 16 * 8 * 9
    assert load.weights == 4 * 16 * 8 * 9 + 4 * 12 * 16 / 12
    assert load.bytes == 4 * 16 * (8 + 12)


def test_a_tensor_is_brought_back_once() -> None:
    s = Sketch(("N", 8, 8, 8))
    y = s.conv(s.x, "a", 8, 3)
    pads = s.weight("pads", [0, 0, 1, 1, 0, 0, 1, 1])
    twice = [s.op("Pad", [y, pads], name) for name in ("p", "q")]
    found = kinds(s.program(s.conv(s.op("Add", twice, "sum"), "b", 8, 1)))
    assert found == {"spatial": 1, "layout": 3, "copy": 3, "pointwise": 1}  # the result, too


def test_a_select_costs_what_its_region_will() -> None:
    s = Sketch(("N", 8, 8, 8))
    picked = s.op("Gather", [_gate(s), s.weight("first", 0)], "picked", axis=1)
    y = s.op("Select", [picked, s.conv(s.x, "a", 8, 3), s.x], "chosen")
    program = s.program(y, manifest=Manifest(stage="dynamic"))
    found = kinds(program)
    assert found["control"] == 1 and found["region"] == 2 and found["layout"] == 2
    assert found["spatial"] == 1 and set(found) <= set(KINDS)
    rows = [node.op_type for node, load in loads(program, 8) if load.kind in ("region", "layout")]
    assert sorted(rows) == ["Conv", "Conv", "Conv", "Select"]  # gathering counts in the region
    choice = Counter(load.kind for node, load in dense(program, 8) if node.op_type == "Select")
    assert choice == {"layout": 1, "copy": 1}


@pytest.mark.parametrize("batch", [1, 32])
def test_a_dynamic_network_takes_what_its_lowered_form_does(
    source: Callable[..., Program], batch: int
) -> None:
    gated = base.run(source("resnet20", width=16, size=32), [InsertBypass()])
    branched = convert(source("resnet20", width=16, size=32), "dynk", branches=5, k=2)
    for program in (gated, branched):
        lowered = base.run(program.clone(), lower.pipeline())
        told, found = (typical().predict(p, shares(p), batch) for p in (program, lowered))
        assert told == pytest.approx(found, rel=0.06)


def _gate(s: Sketch):
    scores = s.op("Softmax", [s.linear(s.pooled(s.x, "in"), "fc", 2)], "scores")
    return s.op("TopKGate", [scores, s.weight("tau", [[0.0]])], "gate", k=1)


@pytest.mark.parametrize(
    ("channels", "kernel", "kind"),
    [
        (64, (64, 64, 3, 3), "spatial"),
        (64, (64, 64, 1, 1), "pointwise"),
        (64, (64, 1, 3, 3), "grouped"),
        (64, (64, 8, 1, 1), "grouped"),
        (3, (64, 3, 7, 7), "shallow"),
    ],
)
def test_kinds_of_convolutions(channels: int, kernel: tuple[int, ...], kind: str) -> None:
    assert convolution(channels, kernel, 8) == kind
    assert math.prod(kernel) > 0
