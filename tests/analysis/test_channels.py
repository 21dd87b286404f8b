"""Narrowing is predicted to the last MAC, couples what must stay together, keeps the strongest."""

import functools
import math
from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from hydrafy.analysis.anatomy import anatomy
from hydrafy.analysis.channels import Coupling, coupling, keep
from hydrafy.analysis.cost import macs
from hydrafy.analysis.cuts import between
from hydrafy.analysis.layers import channels, is_channel_pad, is_depthwise
from hydrafy.analysis.narrow import narrowed_macs
from hydrafy.ir.program import Program
from hydrafy.passes.template import Template
from tests.train.programs import Sketch

NETWORKS = [
    ("resnet20", {}),
    ("resnet20", {"shortcut": "B"}),
    ("resnet20", {"exporter": "dynamo"}),
    ("resnet20", {"fold": True, "shortcut": "B"}),
    ("bottleneck", {}),
]


@pytest.mark.parametrize(("name", "options"), NETWORKS, ids=str)
@pytest.mark.parametrize("width", [0.01, 0.125, 0.25, 0.6, 1.0])
def test_the_cost_of_a_narrow_copy_is_known_before_it_is_made(
    source: Callable[..., Program], name: str, options: dict[str, object], width: float
) -> None:
    for site in anatomy(source(name, **options)).sites():
        program = source(name, **options)
        found = anatomy(program)
        entry = found.entry(site)
        nodes = between(entry, found.features)
        kept = keep(coupling(nodes, entry), width)
        before = set(program.graph)
        values = Template(nodes, entry, kept).stamp(program.graph, "copy.{}".format)
        made = [node for node in program.graph if node not in before]
        assert narrowed_macs(nodes, entry, kept) == sum(map(macs, made)), site
        assert channels(values[found.features]) == len(kept[found.features])
        if width == 1:
            assert narrowed_macs(nodes, entry, kept) == sum(map(macs, nodes))


def freedom(found: Coupling) -> dict[ir.Value, bool]:
    """Whether all channels of a value may be dropped, or none; never some."""
    free = {value: set(found.free[atoms].tolist()) for value, atoms in found.atoms.items()}
    assert all(len(states) == 1 for states in free.values())
    return {value: states.pop() for value, states in free.items()}


@pytest.mark.parametrize(("name", "options"), NETWORKS, ids=str)
def test_every_channel_has_an_atom(
    source: Callable[..., Program], name: str, options: dict[str, object]
) -> None:
    program = source(name, **options)
    found = anatomy(program)
    entry = found.entry("stage2")
    nodes = between(entry, found.features)
    coupled = coupling(nodes, entry)
    assert set(coupled.atoms) == {entry, *(n.outputs[0] for n in nodes)}
    for value, atoms in coupled.atoms.items():
        assert atoms.shape == (channels(value),) == (len(set(atoms.tolist())),)
        assert len(set(coupled.group[atoms].tolist())) == 1
    own = coupled.atoms[entry].tolist()
    for value, free in freedom(coupled).items():
        assert free == (coupled.atoms[value].tolist() != own)
    for node in nodes:
        if node.op_type == "Add":  # what is added stays together
            one = coupled.atoms[node.outputs[0]].tolist()
            assert all(coupled.atoms[v].tolist() == one for v in node.inputs)


def ten(free: bool, strength: np.ndarray) -> tuple[ir.Value, Coupling]:
    value, size = ir.val("a"), len(strength)
    group = np.zeros(size, np.int64)
    return value, Coupling({value: np.arange(size)}, group, np.full(size, free), strength)


def test_widths_are_rounded_and_never_nothing() -> None:
    for width, count in [(0.01, 1), (0.25, 2), (0.26, 3), (0.5, 5), (1.0, 10)]:
        value, free = ten(True, np.arange(10.0))
        assert keep(free, width)[value].tolist() == list(range(10 - count, 10))
        value, fixed = ten(False, np.arange(10.0))
        assert keep(fixed, width)[value].tolist() == list(range(10))


def block() -> tuple[Sketch, ir.Value, ir.Value, ir.Value]:
    """`x -> a -> relu -> c, and relu + c`, whose filters are of chosen strength."""
    s = Sketch(("N", 2, 4, 4))
    scale = {"a": [1, 5, 2, 4, 3, 0.5], "c": [1, 1, 9, 1, 1, 9]}

    def conv(x: ir.Value, name: str) -> ir.Value:
        kernel = (
            np.ones((6, channels(x), 1, 1), np.float32) * np.array(scale[name])[:, None, None, None]
        )
        weight = s.weight(f"{name}.weight", kernel.astype(np.float32))
        return s.op("Conv", [x, weight], name)

    a = conv(s.x, "a")
    relu = s.op("Relu", [a], "relu")
    c = conv(relu, "c")
    y = s.op("Add", [relu, c], "y")
    s.program(y)
    return s, a, c, y


def test_the_strongest_channels_are_kept_in_their_order() -> None:
    """Layers of a group count alike: a has mean 2.58, c has 3.67."""
    s, a, c, y = block()
    found = coupling(list(s.graph), s.x)
    assert freedom(found) == {s.x: False, a: True, s.graph[1].outputs[0]: True, c: True, y: True}
    assert len(set(found.group.tolist())) == 2
    strength = np.array([1, 5, 2, 4, 3, 0.5]) / (15.5 / 6) + np.array([1, 1, 9, 1, 1, 9]) / (22 / 6)
    np.testing.assert_allclose(found.strength[found.atoms[y]], strength)
    assert keep(found, 0.5)[y].tolist() == [1, 2, 5]


def test_a_batchnorm_scales_the_strength_of_its_filters() -> None:
    s = Sketch(("N", 2, 4, 4))
    y = s.batchnorm(s.conv(s.x, "a", 4, 1, bias=False), "bn")
    program = s.program(s.op("Relu", [y], "y"))
    program.set_weight("a.weight", np.ones((4, 2, 1, 1), np.float32))
    program.set_weight("bn.weight", np.array([1, -4, 2, 2], np.float32))
    program.set_weight("bn.running_var", np.array([1, 1, 1, 1 / 16], np.float32))
    found = coupling(list(s.graph), s.x)
    assert np.argsort(-found.strength[found.atoms[y]]).tolist() == [3, 1, 2, 0]


def test_equal_strengths_keep_the_first() -> None:
    value, found = ten(True, np.ones(6))
    assert keep(found, 0.5)[value].tolist() == [0, 1, 2]


def one(kind: str, sketch: Sketch, *inputs: ir.Value, **attributes: object) -> ir.Node:
    return sketch.op(kind, inputs, "y", **attributes).producer()


def test_depthwise_convolutions_follow_their_input() -> None:
    s = Sketch(("N", 4, 5, 5))
    a = s.conv(s.x, "a", 6, 1, bias=False)
    depthwise = one("Conv", s, a, s.random("d.weight", 6, 1, 3, 3), group=6)
    assert is_depthwise(depthwise)
    found = coupling(list(s.graph), s.x)
    assert found.atoms[a].tolist() == found.atoms[depthwise.outputs[0]].tolist()
    assert not set(found.atoms[a].tolist()) & set(found.atoms[s.x].tolist())
    kept = keep(found, 0.5)
    before = set(s.graph)
    nodes = list(s.graph)
    Template(nodes, s.x, kept).stamp(s.graph, "copy.{}".format)
    made = [n for n in s.graph if n not in before]
    assert made[1].attributes["group"].as_int() == 3
    assert made[1].inputs[1].shape == ir.Shape([3, 1, 3, 3])
    assert narrowed_macs(nodes, s.x, kept) == sum(map(macs, made)) == 25 * 4 * 3 + 9 * 3 * 9


def test_what_is_not_understood_keeps_its_channels() -> None:
    s = Sketch(("N", 4, 5, 5))
    a = s.conv(s.x, "a", 6, 1)
    softmax = s.op("Softmax", [a], "softmax", axis=1)
    b = s.conv(softmax, "b", 6, 1)
    scaled = s.op("Mul", [b, s.random("scale", 6, 1, 1)], "scaled")
    found = freedom(coupling(list(s.graph), s.x))
    assert found == {s.x: False, a: False, softmax: False, b: True, scaled: True}


def test_blocks_of_a_grouped_convolution_stay_whole() -> None:
    """Six channels in three blocks, to nine in three: each block of 2 goes with its block of 3."""
    s = Sketch(("N", 4, 5, 5))
    a = s.conv(s.x, "a", 6, 1)
    g = s.op("Conv", [a, s.random("g.weight", 9, 2, 1, 1)], "g", group=3)
    found = coupling(list(s.graph), s.x)
    first, second, third = sorted(set(found.atoms[a].tolist()))
    assert found.atoms[a].tolist() == [first] * 2 + [second] * 2 + [third] * 2
    assert found.atoms[g].tolist() == [first] * 3 + [second] * 3 + [third] * 3
    kept = keep(found, 0.4)
    assert len(kept[a]) == 2 and len(kept[g]) == 3
    assert kept[a][0] // 2 == kept[g][0] // 3


def test_a_concat_carries_the_channels_of_all_its_inputs() -> None:
    s = Sketch(("N", 4, 5, 5))
    a, b = s.conv(s.x, "a", 6, 1), s.conv(s.x, "b", 2, 1)
    joined = s.op("Concat", [s.x, a, b], "joined", axis=1)
    c = s.conv(joined, "c", 2, 1)
    found = coupling(list(s.graph), s.x)
    assert found.atoms[joined].tolist() == [
        atom for value in (s.x, a, b) for atom in found.atoms[value].tolist()
    ]
    kept = keep(found, 0.5)
    assert [len(kept[v]) for v in (s.x, a, b, joined, c)] == [4, 3, 1, 8, 1]
    assert kept[joined].tolist() == [0, 1, 2, 3, *(4 + kept[a]), *(10 + kept[b])]


def test_a_group_normalisation_holds_blocks_together() -> None:
    s = Sketch(("N", 4, 2, 2))
    a = s.conv(s.x, "a", 6, 1)
    apart = s.op("Reshape", [a, s.weight("apart.target", np.array([0, 3, -1]))], "apart")
    found = s.op("Reshape", [apart, s.weight("back.target", np.array([0, 6, 2, 2]))], "back")
    atoms = coupling(list(s.graph), s.x).atoms
    assert atoms[found].tolist() == atoms[a].tolist()
    assert [atoms[a].tolist().count(atom) for atom in atoms[apart].tolist()] == [2, 2, 2]


@pytest.mark.parametrize(
    ("pads", "value", "is_shortcut"),
    [
        ([0, 2, 0, 0, 0, 2, 0, 0], None, True),
        ([0, 0, 0, 0, 0, 4, 0, 0], 0.0, True),
        ([0, 2, 0, 0, 0, 2, 0, 0], 1.0, False),
        ([0, 2, 1, 0, 0, 2, 1, 0], None, False),
        ([1, 2, 0, 0, 0, 2, 0, 0], None, False),
    ],
)
def test_channel_pads(pads: list[int], value: float | None, is_shortcut: bool) -> None:
    s = Sketch(("N", 4, 5, 5))
    more = [s.weight("pads", np.array(pads))]
    more += [s.weight("value", np.array(value, np.float32))] if value is not None else []
    assert is_channel_pad(one("Pad", s, s.x, *more)) == is_shortcut


def test_the_kernel_of_a_narrowed_shortcut_maps_kept_to_kept(
    source: Callable[..., Program],
) -> None:
    """Where the source pads channel c to c + 4, so does the copy, for the channels that stay."""
    program = source("resnet8")
    found = anatomy(program)
    entry = found.entry("stage2")
    nodes = between(entry, found.features)
    kept = keep(coupling(nodes, entry), 0.5)
    Template(nodes, entry, kept).stamp(program.graph, "copy.{}".format)
    pads = [n for n in nodes if is_channel_pad(n)]
    assert len(pads) == 2
    for pad in pads:
        kernel = program.weight(f"copy.{pad.name}.weight")[:, :, 0, 0]
        start = channels(pad.inputs[0]) // 2
        have = kept[pad.inputs[0]] if pad is pads[1] else np.arange(channels(pad.inputs[0]))
        wanted = [[int(out == into + start) for into in have] for out in kept[pad.outputs[0]]]
        assert kernel.tolist() == wanted


def test_rename_is_any_function() -> None:
    """partial objects serve, as the passes use them."""
    s = Sketch(("N", 4, 5, 5))
    y = s.conv(s.x, "a", 6, 1)
    nodes = list(s.graph)
    kept = keep(coupling(nodes, s.x), 1.0)
    rename = functools.partial("{}.{}".format, "part")
    assert Template(nodes, s.x, kept).stamp(s.graph, rename)[y].name == "part.a"
    assert math.prod(s.graph.initializers["part.a.weight"].shape) == 24


def test_a_left_out_block_at_the_end_has_the_channels_of_its_entry() -> None:
    s = Sketch(("N", 4, 5, 5))
    a = s.conv(s.x, "a", 4, 1)
    last = s.op("Add", [a, s.conv(a, "b", 4, 1)], "last")
    s.program(last)
    found = coupling(list(s.graph)[:1], s.x, [(a, last)])
    assert found.atoms[last].tolist() == found.atoms[a].tolist()


def test_an_affine_of_groups_is_narrowed_with_them() -> None:
    """[N, C, H, W] as [N, G, X], scaled by [1, G, 1]: half of the width keeps two of four."""
    s = Sketch(("N", 4, 2, 2))
    a = s.conv(s.x, "a", 8, 1)
    apart = s.op("Reshape", [a, s.weight("apart.target", np.array([0, 4, -1]))], "apart")
    scaled = s.op("Mul", [apart, s.random("scale", 1, 4, 1)], "scaled")
    back = s.op("Reshape", [scaled, s.weight("back.target", np.array([0, 8, 2, 2]))], "back")
    program = s.program(back)
    nodes = list(s.graph)
    kept = keep(coupling(nodes, s.x), 0.5)
    Template(nodes, s.x, kept).stamp(s.graph, "copy.{}".format)
    scale = program.weight("copy.scale")
    np.testing.assert_array_equal(scale, program.weight("scale")[:, kept[scaled]])
    assert scale.shape == (1, 2, 1) and len(kept[back]) == 4


def test_shuffled_channels_keep_their_number() -> None:
    """Behind [N, G, C / G, H, W] nothing is known of what corresponds to what."""
    s = Sketch(("N", 4, 5, 5))
    a = s.conv(s.x, "a", 6, 1)
    apart = s.op("Reshape", [a, s.weight("apart.target", np.array([0, 2, 3, 5, 5]))], "apart")
    turned = s.op("Transpose", [apart], "turned", perm=[0, 2, 1, 3, 4])
    back = s.op("Reshape", [turned, s.weight("back.target", np.array([0, 6, 5, 5]))], "back")
    s.program(back)
    found = freedom(coupling(list(s.graph), s.x))
    assert found == {s.x: False, a: False, back: False}
