"""Sources: the bools that all predicates of a dynamic network follow from."""

import onnx_ir as ir

from hydrafy.ir.ops import is_select
from hydrafy.ir.program import Program


def predicates(program: Program) -> tuple[ir.Value, ...]:
    """The predicates of the Selects, each once, in the order of the graph."""
    selects = [node for node in program.graph if is_select(node)]
    return tuple(dict.fromkeys(v for node in selects if (v := node.inputs[0]) is not None))


def sources(program: Program) -> tuple[ir.Value, ...]:
    """What gates and comparisons decide, and bools that the caller gives.

    A predicate is a column of one of these, or what logic makes of several. Behind a source there
    are no more bools: it follows from numbers.
    """
    found: dict[ir.Value, None] = {}
    seen: set[ir.Value] = set()
    waiting = list(reversed(predicates(program)))
    while waiting:
        value = waiting.pop()
        if value in seen:
            continue
        seen.add(value)
        node = value.producer()
        if node is None:
            if value.is_graph_input():
                found[value] = None
            continue
        bools = [v for v in node.inputs if v is not None and v.dtype == ir.DataType.BOOL]
        if bools:
            waiting += bools
        else:
            found[value] = None
    return tuple(found)
