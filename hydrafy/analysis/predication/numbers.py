"""Numbers: values that compute the same from the same have one number."""

from collections.abc import Hashable, Iterable

import onnx_ir as ir

from hydrafy.ir.values import constant

SMALL = 64
"""Elements up to which constants are compared; larger ones are equal to themselves alone."""

_PLAIN = frozenset({
    ir.AttributeType.FLOAT, ir.AttributeType.FLOATS, ir.AttributeType.INT, ir.AttributeType.INTS,
    ir.AttributeType.STRING, ir.AttributeType.STRINGS,
})  # fmt: skip


def numbers(nodes: Iterable[ir.Node]) -> dict[ir.Value, int]:
    """The numbers of all values that some nodes read or compute.

    No op that a program may have is random, so the same op on the same inputs computes the same.

    Args:
        nodes: in topological order.
    """
    found: dict[ir.Value, int] = {}
    known: dict[Hashable, int] = {}

    def number(value: ir.Value, key: Hashable) -> int:
        return found.setdefault(value, known.setdefault(key, len(known)))

    for node in nodes:
        read = tuple(None if v is None else number(v, _outside(v)) for v in node.inputs)
        attributes = frozenset(_attribute(a) for a in node.attributes.values())
        for place, value in enumerate(node.outputs):
            number(value, (node.domain, node.op_type, read, attributes, place))
    return found


def _outside(value: ir.Value) -> Hashable:
    """What a value is that none of the nodes computes: a small constant, or itself."""
    array = constant(value)
    if array is None or array.size > SMALL:
        return value
    return array.dtype.name, array.shape, array.tobytes()


def _attribute(attribute: ir.Attr) -> Hashable:
    if attribute.type not in _PLAIN:
        return attribute.name, id(attribute)
    value = attribute.value
    return attribute.name, tuple(value) if isinstance(value, list | tuple) else value
