"""Networks of many designs convert: their function stays at width 1, and narrow ones run."""

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.analysis.channels import coupling
from hydrafy.analysis.cost import expected
from hydrafy.analysis.predication.need import shares
from hydrafy.errors import OptionError
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.recipes.dynk import Dynk
from hydrafy.runtime.convert import convert, report
from tests.train.programs import Sketch

Inner = Callable[[Sketch, ir.Value, str], ir.Value]

SMALL = {"branches": 3, "k": 2}
FULL = {**SMALL, "branch_width": 1.0}


def network(inner: Inner, *, size: int = 8) -> Program:
    """A stem, two stages of two blocks each with `inner` between their convolutions, a head."""
    s = Sketch(("N", 3, size, size))
    x = s.op("Relu", [s.conv(s.x, "stem", 8, 3)], "stem.relu")
    for stage, out in enumerate((8, 16)):
        for block in range(2):
            path = f"s{stage}.{block}"
            y = s.op("Relu", [s.conv(x, f"{path}.a", out, 3)], f"{path}.relu1")
            y = s.conv(inner(s, y, path), f"{path}.b", out, 3)
            way = x if x.shape[1] == out else s.conv(x, f"{path}.way", out, 1)
            x = s.op("Relu", [s.op("Add", [y, way], f"{path}.sum")], f"{path}.relu2")
    return s.program(s.linear(s.pooled(x, "head"), "fc", 5))


def grouped(groups: int, factor: int = 1) -> Inner:
    def inner(s: Sketch, x: ir.Value, path: str) -> ir.Value:
        size = x.shape[1]
        weight = s.random(f"{path}.g.weight", size * factor, size // (groups or size), 3, 3)
        return s.op("Conv", [x, weight], f"{path}.g", group=groups or size, pads=[1] * 4)

    return inner


def attention(s: Sketch, x: ir.Value, path: str) -> ir.Value:
    """One factor for each place, as in CBAM."""
    factor = s.op("Sigmoid", [s.conv(x, f"{path}.att", 1, 3)], f"{path}.factor")
    return s.op("Mul", [x, factor], f"{path}.weighed")


def concatenated(s: Sketch, x: ir.Value, path: str) -> ir.Value:
    parts = [s.conv(x, f"{path}.{n}", n, 3) for n in (6, 2)]
    return s.op("Concat", parts, f"{path}.concat", axis=1)


def padded(s: Sketch, x: ir.Value, path: str) -> ir.Value:
    pads = s.weight(f"{path}.pads", np.array([0, 2, 1, 1, 0, 0, 0, 0]))
    return s.op("Pad", [x, pads], f"{path}.pad")


def tied(s: Sketch, x: ir.Value, path: str) -> ir.Value:
    """Two layers that share their weight, of which the first reads other channels."""
    weight = s.random(f"{path}.tied.weight", x.shape[1], x.shape[1], 1, 1)
    first = s.op("Conv", [x, weight], f"{path}.first")
    return s.op("Conv", [s.op("Relu", [first], f"{path}.relu"), weight], f"{path}.second")


DESIGNS = {
    "grouped": grouped(4),
    "depthwise": grouped(0),
    "multiplied": grouped(0, 2),
    "attention": attention,
    "concatenated": concatenated,
    "tied": tied,
}


@pytest.mark.parametrize("split", ["stage2", "stage2.2"])
@pytest.mark.parametrize("design", DESIGNS)
def test_a_design_converts(design: str, split: str) -> None:
    program = network(DESIGNS[design])
    assert report(program, convert(program, "dynk", split=split, **FULL)).preserved
    made = convert(program, "dynk", split=split, **SMALL)
    assert np.isfinite(report(program, made).divergence)


def test_a_result_of_padded_channels_keeps_them() -> None:
    s = Sketch()
    stem = s.conv(s.x, "stem", 8, 3)
    last = padded(s, s.conv(stem, "inner", 8, 3), "padded")
    s.program(last)
    found = coupling(list(s.graph)[1:], stem)
    assert not found.free[found.atoms[last]].any()


def test_tied_layers_of_a_full_copy_share_their_weight() -> None:
    made = convert(network(tied), "dynk", split="stage2.2", **FULL)
    named = [n for n in made.graph.initializers if "branches.0." in n and "tied" in n]
    assert named == ["branches.0.s1.1.tied.weight"]


def test_a_grouped_layer_keeps_whole_groups() -> None:
    made = convert(network(grouped(4)), "dynk", split="stage2.2", **SMALL)
    shapes = {n: made.weight(f"branches.0.s1.1.{n}.weight").shape for n in "agb"}
    assert shapes == {"a": (4, 16, 3, 3), "g": (4, 4, 3, 3), "b": (4, 4, 3, 3)}


def test_the_gate_does_without_a_pooling_that_does_not_fit() -> None:
    """At 12 -> 6 -> 3 all paths agree; pooled, 3 -> 1 in one and 3 -> 2 in the other."""
    s = Sketch(("N", 3, 12, 12))
    x = s.op("Relu", [s.conv(s.x, "stem", 8, 3)], "stem.relu")
    for path, out in (("one", 8), ("two", 16)):
        weight = s.random(f"{path}.a.weight", out, 8, 3, 3)
        y = s.op("Conv", [x, weight], f"{path}.a", pads=[1] * 4, strides=[2, 2])
        half = s.op("AveragePool", [x], f"{path}.h", kernel_shape=[2, 2], strides=[2, 2])
        y = s.op("Add", [y, s.conv(half, f"{path}.way", out, 1)], f"{path}.sum")
        x = s.op("Relu", [y], f"{path}.relu")
    program = s.program(s.linear(s.pooled(x, "head"), "fc", 5))
    wanted = Dynk(**SMALL).sites(program)
    for site, sentences in (("stage1", []), ("stage2", ["does not fit the tail's sizes"])):
        for pool in (1, 2):
            made = convert(program, "dynk", split=site, gate_pool=pool, **SMALL)
        notes = " ".join(n for e in made.manifest.journal for n in e.notes)
        assert all(text in notes for text in sentences)
        assert wanted[site] == pytest.approx(expected(shares(made)).macs, abs=2)


@pytest.mark.parametrize("seed", [-1, 2**32, 2**40])
def test_seeds_that_no_generator_takes_are_refused(seed: int) -> None:
    with pytest.raises(OptionError, match=f"seed={seed} must be between 0 and 4294967295"):
        Dynk(seed=seed)


def test_the_loss_of_a_softmax_network_reads_its_logits() -> None:
    program = network(grouped(4))
    logits = program.graph.outputs[0]
    softmax = build.op("Softmax", [logits], "probabilities", axis=-1)
    program.graph.append(softmax)
    program.graph.outputs[0] = softmax.outputs[0]
    made = convert(program, "dynk", **SMALL)
    assert made.manifest.losses[0].output == "head.fc"
    assert made.manifest.role("head.fc") == "training"
    assert made.manifest.role("probabilities") == "prediction"
    np.testing.assert_array_equal(made.weight("branches.0.fc.bias"), program.weight("fc.bias"))
