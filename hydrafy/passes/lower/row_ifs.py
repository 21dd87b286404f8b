"""RowIf: what Selects are between sinking and compaction, a choice whose sides may be regions."""

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from hydrafy.analysis.predication.need import SIDES
from hydrafy.ir import ops
from hydrafy.ir.values import constant

ROW_IF = "RowIf"
"""`RowIf(pred, a1, a2, ..., b1, b2, ...)`: Selects of one predicate, which is read once.

Its sides may be regions (graphs `a`, `b`), which return what has no input here, in their order. It
exists between sink and compact only. A region reads the outer values that it needs.
"""


def is_row_if(node: ir.Node) -> bool:
    """Whether the node is a RowIf."""
    return node.domain == ops.DOMAIN and node.op_type == ROW_IF


def operands(node: ir.Node) -> dict[str, tuple[ir.Value | None, ...]]:
    """What a RowIf chooses between, by side, for each result; None is returned by a region."""
    count = len(node.outputs)
    inputs = [*node.inputs[1:], *[None] * (2 * count)]  # trailing empty inputs may be trimmed
    return {"a": tuple(inputs[:count]), "b": tuple(inputs[count : 2 * count])}


def lone_region(value: ir.Value | None) -> ir.Node | None:
    """The RowIf that makes a value of one region or of zeros, for one use; None if none does."""
    node = value.producer() if value is not None else None
    if node is None or not is_row_if(node) or len(node.outputs) > 1 or "a" not in node.attributes:
        return None
    other = constant(operands(node)["b"][0])
    nothing = other is not None and other.size == 1 and not other.any()
    return node if nothing and len(node.outputs[0].uses()) == 1 else None


def make_row_if(bundle: Sequence[ir.Node], graphs: Mapping[str, ir.Graph]) -> ir.Node:
    """A RowIf in the place of Selects of one predicate; `graphs` are its regions, by side."""
    returned = {side: set(graph.outputs) for side, graph in graphs.items()}
    sides = [
        None if value in returned.get(side, ()) else value
        for side, slot in SIDES.items()
        for value in (select.inputs[slot] for select in bundle)
    ]
    node = ir.Node(
        ops.DOMAIN,
        ROW_IF,
        [bundle[0].inputs[0], *sides],
        [ir.AttrGraph(side, graph) for side, graph in graphs.items()],
        name=bundle[0].name,
        num_outputs=len(bundle),
    )
    for out, old in zip(node.outputs, (select.outputs[0] for select in bundle), strict=True):
        out.name, out.shape, out.type = old.name, old.shape, old.type
    return node
