"""How messages name a node."""

import onnx_ir as ir


def title(node: ir.Node) -> str:
    """`node 'conv1'`: by its name, or by its first result's where the file gives it none."""
    names = (node.name, *(value.name for value in node.outputs))
    return f"node {next(filter(None, names), '')!r}"
