"""Every value has one name, comes from one place, and can be computed from the inputs."""

import graphlib
from collections.abc import Collection, Iterable, Iterator

import onnx

from hydrafy.errors import ModelError
from hydrafy.ir.check.walk import Body, subgraphs, title


def check_names(body: Body, outer: Collection[str] = ()) -> None:
    """Does nothing where each value of a graph is computed once, from values that are there.

    Nodes may stand in any order, though ONNX asks for a topological one.

    Args:
        body: a graph, or a function.
        outer: the values of the graphs around it.

    Raises:
        ModelError: a name is used twice, a value is computed nowhere, or from itself.
    """
    held = list(_held(body))
    sources = list(_sources(body))
    made = [name for node in body.node for name in node.output if name]
    _check_once(sources, "two inputs are", outer)
    _check_once(held, "two weights are", outer)
    known = {*sources, *held}
    _check_once(made, "two values are", {*known, *outer})
    known |= {*made, *outer}
    for node in body.node:
        missing = next((name for name in _reads(node) if name not in known), None)
        if missing is not None:
            raise ModelError(
                f"{title(node)} reads {missing!r}, which is no input, no weight and no node's "
                "result: the file is damaged, or a tool removed it"
            )
    for name in _results(body):
        if name not in known:
            raise ModelError(f"output {name!r} is computed nowhere")
    _check_order(body)
    for node in body.node:
        for graph in subgraphs(node):
            check_names(graph, known - set(node.output))


def _check_once(names: Iterable[str], what: str, taken: Collection[str]) -> None:
    seen = set(taken)
    for name in names:
        if not name:
            raise ModelError("an input or a weight of the model has no name")
        if name in seen:
            raise ModelError(f"{what} named {name!r}: rename one of them")
        seen.add(name)


def _check_order(body: Body) -> None:
    nodes = list(body.node)
    makers = {name: place for place, node in enumerate(nodes) for name in node.output if name}
    sorter: graphlib.TopologicalSorter[int] = graphlib.TopologicalSorter()
    for place, node in enumerate(nodes):
        sorter.add(place, *(makers[name] for name in _reads(node) if name in makers))
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        circle = [title(nodes[place]) for place in error.args[1]]
        rest = "" if len(circle) <= 4 else f" and {len(circle) - 4} more"
        path = " > ".join(circle[:4])
        raise ModelError(f"the graph has a cycle, so it cannot be run: {path}{rest}") from error


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """What a node reads: its inputs, and what its graphs take from around them."""
    yield from filter(None, node.input)
    for graph in subgraphs(node):
        inside = {*_sources(graph), *_held(graph), *(v for n in graph.node for v in n.output)}
        wanted = [name for inner in graph.node for name in _reads(inner)]
        yield from (name for name in (*wanted, *_results(graph)) if name not in inside)


def _sources(body: Body) -> Iterator[str]:
    if isinstance(body, onnx.FunctionProto):
        yield from body.input
    else:
        yield from (value.name for value in body.input)


def _held(body: Body) -> Iterator[str]:
    if isinstance(body, onnx.GraphProto):
        yield from (tensor.name for tensor in body.initializer)
        for sparse in body.sparse_initializer:
            raise ModelError(
                f"weight {sparse.values.name!r} is sparse: store it dense, hydrafy reads no other"
            )


def _results(body: Body) -> Iterator[str]:
    if isinstance(body, onnx.FunctionProto):
        yield from body.output
    else:
        yield from (value.name for value in body.output)
