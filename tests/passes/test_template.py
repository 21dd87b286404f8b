"""A narrowed copy computes what slicing every weight by hand computes."""

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.analysis.anatomy import anatomy
from hydrafy.analysis.channels import coupling, keep
from hydrafy.analysis.cuts import between
from hydrafy.analysis.layers import channels
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.ir.verify import faults
from hydrafy.passes.template import Template
from tests.train.programs import Sketch


def run(program: Program, *outputs: ir.Value, batch: int = 2) -> list[np.ndarray]:
    program.graph.outputs.extend(v for v in outputs if not v.is_graph_output())
    assert list(faults(program)) == []
    shape = program.data_inputs[0].shape
    assert shape is not None
    x = np.random.default_rng(0).standard_normal((batch, *shape[1:])).astype(np.float32)
    found = Session(program, threads=1).run({program.data_inputs[0].name or "": x})
    return [found[v.name or ""] for v in outputs]


@pytest.mark.parametrize("name", ["resnet8", "bottleneck"])
@pytest.mark.parametrize("site", ["stage2", "stage1"])
def test_a_full_copy_computes_the_same(
    source: Callable[..., Program], name: str, site: str
) -> None:
    program = source(name)
    found = anatomy(program)
    entry = found.entry(site)
    nodes = between(entry, found.features)
    kept = keep(coupling(nodes, entry), 1.0)
    copy = Template(nodes, entry, kept).stamp(program.graph, "copy.{}".format)[found.features]
    wanted, twin = run(program, found.features, copy)
    np.testing.assert_array_equal(twin, wanted)


def test_a_copy_without_the_dropped_channels_agrees_where_they_are_dead() -> None:
    """Channels whose filters are zero add nothing: without them the others are the same."""
    s = Sketch(("N", 3, 6, 6))
    stem = s.op("Relu", [s.conv(s.x, "stem", 4, 3)], "stem.relu")
    a = s.op("Relu", [s.batchnorm(s.conv(stem, "a", 6, 3, bias=False), "a.bn")], "a.relu")
    b = s.conv(a, "b", 4, 3, bias=False)
    total = s.op("Add", [b, s.conv(stem, "shortcut", 4, 1, bias=False)], "sum")
    last = s.op("Relu", [total], "last")
    program = s.program(s.linear(s.pooled(last, "head"), "fc", 3))
    dead_inner, dead_outer = [1, 2, 5], [0, 3]
    kernel = program.weight("a.weight").copy()
    kernel[dead_inner] = 0
    program.set_weight("a.weight", kernel)
    for slot in ("bias", "running_mean"):
        vector = program.weight(f"a.bn.{slot}").copy()
        vector[dead_inner] = 0
        program.set_weight(f"a.bn.{slot}", vector)
    for name in ("b", "shortcut"):
        kernel = program.weight(f"{name}.weight").copy()
        kernel[dead_outer] = 0
        program.set_weight(f"{name}.weight", kernel)
    nodes = between(stem, last)
    kept = keep(coupling(nodes, stem), 0.5)
    assert kept[a].tolist() == [0, 3, 4] and kept[last].tolist() == [1, 2]
    copy = Template(nodes, stem, kept).stamp(program.graph, "copy.{}".format)[last]
    assert channels(copy) == 2
    wanted, twin = run(program, last, copy)
    np.testing.assert_allclose(twin, wanted[:, [1, 2]], atol=1e-5)


def test_a_shortcut_from_the_entry_takes_the_kept_channels() -> None:
    s = Sketch(("N", 3, 6, 6))
    stem = s.conv(s.x, "stem", 4, 3)
    y = s.op("Add", [stem, s.conv(stem, "a", 4, 1, bias=False)], "sum")
    program = s.program(y)
    program.set_weight("a.weight", np.zeros((4, 4, 1, 1), np.float32))
    nodes = between(stem, y)
    kept = {stem: np.array([0, 3]), y: np.array([0, 3]), nodes[0].outputs[0]: np.array([0, 3])}
    copy = Template(nodes, stem, kept).stamp(program.graph, "copy.{}".format)[y]
    wanted, twin = run(program, stem, copy)
    np.testing.assert_array_equal(twin, wanted[:, [0, 3]])


def test_left_out_blocks_hand_their_entry_on(source: Callable[..., Program]) -> None:
    program = source("resnet14")
    found = anatomy(program)
    entry, block = found.entry("stage3"), found.stages[2].blocks[1]
    assert block.kind == "identity"
    nodes = [n for n in between(entry, found.features) if n not in block.nodes]
    pairs = ((block.entry, block.exit),)
    kept = keep(coupling(nodes, entry, pairs), 1.0)
    values = Template(nodes, entry, kept, pairs).stamp(program.graph, "copy.{}".format)
    wanted, twin = run(program, block.entry, values[found.features])
    np.testing.assert_array_equal(twin, wanted)
    assert values[found.features] is values[block.entry]  # no second Relu behind the first


def test_the_last_block_may_be_left_out() -> None:
    """Its sum is what the template ends in: no node behind it reads it."""
    s = Sketch(("N", 3, 6, 6))
    stem = s.conv(s.x, "stem", 4, 3)
    first = s.op("Add", [stem, s.conv(stem, "a", 4, 1)], "first")
    inner = s.conv(first, "b", 4, 1)
    last = s.op("Add", [first, inner], "last")
    program = s.program(last)
    kept = {v: np.arange(4) for v in (stem, *(n.outputs[0] for n in s.graph))}
    nodes, pairs = between(stem, first), ((first, last),)
    copies = Template(nodes, stem, kept, pairs).stamp(program.graph, "copy.{}".format)
    assert copies[last] is copies[first]


def test_copies_share_their_memory(source: Callable[..., Program]) -> None:
    program = source("resnet8")
    found = anatomy(program)
    entry = found.entry("stage3")
    nodes = between(entry, found.features)
    template = Template(nodes, entry, keep(coupling(nodes, entry), 0.5))
    for number in range(2):
        template.stamp(program.graph, f"{number}.{{}}".format)
    names = [n for n in program.graph.initializers if n.startswith("0.")]
    assert len(names) > 4
    for name in names:
        other = program.weight(f"1.{name.removeprefix('0.')}")
        if "Pad" not in name:
            assert np.shares_memory(program.weight(name), other)
