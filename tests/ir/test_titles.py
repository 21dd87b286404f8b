"""A node is named in messages even where its file gives it no name."""

import onnx_ir as ir

from hydrafy.ir.titles import title


def test_a_node_is_named_by_its_name_or_a_result() -> None:
    node = ir.node("Split", [], num_outputs=2, name="first")
    assert title(node) == "node 'first'"
    node.name = ""
    node.outputs[0].name = ""
    node.outputs[1].name = "second"
    assert title(node) == "node 'second'"
    node.name, node.outputs[1].name = None, None
    assert title(node) == "node ''"
