"""A model's own functions end: none calls itself, and together they stay of a reasonable size."""

import graphlib

import onnx

from hydrafy.errors import ModelError
from hydrafy.ir.check.versions import STANDARD
from hydrafy.ir.check.walk import Body, nested

NODES = 100_000
"""More than this many nodes, functions written out, are no classifier; ResNet-152 has 515."""

Key = tuple[str, str, str]


def check_functions(model: onnx.ModelProto) -> None:
    """Does nothing where a model, with its functions written out, is of at most `NODES` nodes.

    A few functions that call each other twice would otherwise write out to billions of nodes.

    Raises:
        ModelError: naming the functions that call each other, or the size.
    """
    functions: dict[Key, onnx.FunctionProto] = {}
    for function in model.functions:
        key = (function.domain, function.name, function.overload)
        if key in functions:
            raise ModelError(f"two functions are named {_title(key)}")
        if function.domain in STANDARD:
            raise ModelError(f"function {_title(key)} takes the place of a standard op: rename it")
        functions[key] = function
    calls = {key: _calls(function, functions) for key, function in functions.items()}
    try:
        order = list(graphlib.TopologicalSorter(calls).static_order())
    except graphlib.CycleError as error:
        circle = " > ".join(map(_title, error.args[1][:5]))
        raise ModelError(f"functions call each other in a circle: {circle}") from error
    sizes: dict[Key, int] = {}
    for key in order:
        sizes[key] = _count(functions[key]) + sum(sizes[called] for called in calls[key])
    size = _count(model.graph) + sum(sizes[called] for called in _calls(model.graph, functions))
    if size > NODES:
        raise ModelError(f"the model has {size:,} nodes: {NODES:,} are the limit")


def _calls(body: Body, functions: dict[Key, onnx.FunctionProto]) -> list[Key]:
    """The functions that a body calls, one entry for each call."""
    keys = (
        (node.domain, node.op_type, node.overload) for graph in nested(body) for node in graph.node
    )
    return [key for key in keys if key in functions]


def _count(body: Body) -> int:
    return sum(len(graph.node) for graph in nested(body))


def _title(key: Key) -> str:
    return "::".join(filter(None, key))
