"""Layers get the names that PyTorch gave them, as far as the file remembers."""

import numpy as np

from hydrafy.ir.program import Program
from hydrafy.ir.verify import faults
from hydrafy.passes.normalise.names import NameLayers
from tests.passes.sources import compute, program, weight


def named(text: str, names: list[str], **weights: np.ndarray) -> Program:
    made = program(text, **weights)
    for node, name in zip(made.graph, names, strict=True):
        node.name = name
    return made


CHAIN = """
g (float[N,2,4,4] x) => (float[N,2,4,4] y) {
  a = Conv (x, w)
  b = Relu (a)
  y = Conv (b, v, u)
}"""


def test_torchscript_names_of_folded_layers() -> None:
    """`onnx::Conv_193` says nothing; the node's name is the module's path."""
    made = named(
        CHAIN,
        ["/layer1/layer1.0/conv1/Conv", "/layer1/layer1.0/relu/Relu_1", "/conv2/Conv"],
        w=weight(2, 2, 1, 1),
        v=weight(2, 2, 1, 1),
        u=weight(2),
    )
    made.graph.initializers["w"].name = "onnx::Conv_193"
    NameLayers().apply(made)
    assert [n.name for n in made.graph] == ["layer1.0.conv1", "layer1.0.relu.Relu_1", "conv2"]
    assert set(made.graph.initializers) == {"layer1.0.conv1.weight", "conv2.weight", "conv2.bias"}
    assert [v.name for n in made.graph for v in n.outputs] == [
        "layer1.0.conv1",
        "layer1.0.relu.Relu_1",
        "y",  # an output keeps its name
    ]


def rename(made: Program, **names: str) -> None:
    for old, new in names.items():
        made.graph.initializers[old].name = new


def test_a_layer_is_named_after_its_weights() -> None:
    kernels = {"w": weight(2, 2, 1, 1), "v": weight(2, 2, 1, 1), "u": weight(2)}
    made = named(CHAIN, ["node_conv2d", "node_relu", "node_conv2d_1"], **kernels)
    rename(made, w="features.0.weight", v="features.2.weight", u="anything")
    NameLayers().apply(made)
    assert [n.name for n in made.graph] == ["features.0", "node_relu", "features.2"]
    assert set(made.graph.initializers) == {
        "features.0.weight",
        "features.2.weight",
        "features.2.bias",
    }


def test_nameless_nodes_are_numbered_by_op() -> None:
    kernels = {"w": weight(2, 2, 1, 1), "v": weight(2, 2, 1, 1), "u": weight(2)}
    made = named(CHAIN, ["", "", ""], **kernels)
    NameLayers().apply(made)
    assert [n.name for n in made.graph] == ["conv_1", "relu_1", "conv_2"]


def test_names_that_collide_are_numbered() -> None:
    """A value is named like the input, a layer like the output, two nodes alike."""
    kernels = {"w": weight(2, 2, 1, 1), "v": weight(2, 2, 1, 1), "u": weight(2)}
    made = named(CHAIN, ["/y/Conv", "x", "y"], **kernels)
    x = weight(2, 2, 4, 4, seed=3)
    wanted = compute(made.clone(), {"x": x})
    NameLayers().apply(made)
    assert list(faults(made)) == []
    assert len({n.name for n in made.graph}) == 3
    assert [v.name for v in (*made.graph.inputs, *made.graph.outputs)] == ["x", "y"]
    np.testing.assert_array_equal(compute(made, {"x": x})[0], wanted[0])


def test_a_weight_that_two_layers_share_keeps_its_name() -> None:
    made = named(
        """
        g (float[N,2,4,4] x) => (float[N,2,4,4] y) {
          a = Conv (x, w)
          y = Conv (a, w)
        }""",
        ["/one/Conv", "/two/Conv"],
        w=weight(2, 2, 1, 1),
    )
    rename(made, w="shared/kernel:0")
    NameLayers().apply(made)
    assert list(made.graph.initializers) == ["shared_kernel_0"]
    assert [n.name for n in made.graph] == ["one", "two"]


def test_a_weight_is_named_beside_what_has_its_name() -> None:
    """Two layers share `one.weight`, which would be the name of another layer's own."""
    made = named(
        """
        g (float[N,2,4,4] x) => (float[N,2,4,4] y) {
          a = Conv (x, w)
          b = Conv (a, v)
          y = Conv (b, v)
        }""",
        ["/one/Conv", "/one.weight/Conv", "/two/Conv"],
        w=weight(2, 2, 1, 1),
        v=weight(2, 2, 1, 1, seed=1),
    )
    rename(made, v="one.weight")
    x = weight(2, 2, 4, 4, seed=3)
    wanted = compute(made.clone(), {"x": x})
    NameLayers().apply(made)
    assert list(faults(made)) == []
    assert set(made.graph.initializers) == {"one.weight", "one.weight_3"}
    np.testing.assert_array_equal(compute(made, {"x": x})[0], wanted[0])


def test_batchnorm_weights_get_torchs_names() -> None:
    made = named(
        "g (float[N,2,4,4] x) => (float[N,2,4,4] y) { y = BatchNormalization (x, a, b, c, d) }",
        ["/bn1/BatchNormalization"],
        **{name: abs(weight(2, seed=n)) for n, name in enumerate("abcd")},
    )
    NameLayers().apply(made)
    slots = ["weight", "bias", "running_mean", "running_var"]
    assert [v.name for v in made.graph[0].inputs[1:]] == [f"bn1.{slot}" for slot in slots]
