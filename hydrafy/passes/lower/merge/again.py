"""What was computed of one side of a Select already is not computed again of its result."""

from collections.abc import Iterator

import onnx_ir as ir

from hydrafy.analysis.predication.places import Places
from hydrafy.analysis.rows import mixes_rows
from hydrafy.ir import build, ops
from hydrafy.ir.program import Program
from hydrafy.passes.lower.merge.selects import select
from hydrafy.passes.lower.regions import replace


def again(program: Program) -> Iterator[str]:
    """`GAP(Select(p, a, b))` becomes `Select(p, GAP(a), GAP(b))` where GAP(b) is computed anyhow.

    So gates in a row pool an image again only after a block has changed it. Not where the pool is
    needed more seldom than the Select, as behind an exit: the two would not share their regions,
    and then `a`, which both read, is in neither.
    """
    graph, places = program.graph, Places.of(program).nodes
    known: dict[tuple[ir.Value, str], ir.Value] = {}
    for pool in [node for node in graph if node.op_type in ops.GLOBAL]:
        source, kind = pool.inputs[0], pool.op_type
        out = pool.outputs[0]
        if source is None or mixes_rows(pool):
            continue
        if (source, kind) in known and not out.is_graph_output():
            out.replace_all_uses_with(known[source, kind])
            graph.remove(pool, safe=True)
            yield f"{pool.name!r} is computed once"
            continue
        old = source.producer()
        pred, a, b = old.inputs if old is not None and ops.is_select(old) else (None, None, None)
        if old is None or a is None or b is None or (b, kind) not in known or a.shape != b.shape:
            known.setdefault((source, kind), out)
            continue
        if places.get(pool) != places.get(old):
            known.setdefault((source, kind), out)
            continue
        inside = build.op(kind, [a], f"{pool.name}.inside")
        graph.insert_before(pool, inside)
        twin = select(pred, inside.outputs[0], known[b, kind], f"{pool.name}.select")
        graph.insert_before(pool, twin)
        replace(graph, pool, twin.outputs[0])
        known[source, kind] = twin.outputs[0]
        yield f"{pool.name!r} pools what {old.name!r} has changed"
