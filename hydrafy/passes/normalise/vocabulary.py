"""Refuses a node whose op no later step understands."""

import onnx_ir as ir

from hydrafy.errors import ModelError
from hydrafy.ir import ops
from hydrafy.ir.titles import title


def check_op(node: ir.Node) -> None:
    """Does nothing where the node's op is in the vocabulary of programs.

    Raises:
        ModelError: it is not; the node is named, or its result where it has no name.
    """
    if node.domain == "" and node.op_type in ops.STANDARD:
        return
    kind = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
    raise ModelError(
        f"{title(node)} is a {kind}, an op that hydrafy does not know: replace it before the "
        "conversion"
    )
