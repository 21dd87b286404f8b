"""Going through the graphs of a model that nobody has checked yet."""

from collections.abc import Iterator

import onnx

Body = onnx.GraphProto | onnx.FunctionProto


def nested(body: Body) -> Iterator[Body]:
    """A graph or a function, then each graph inside of it, outer ones first."""
    yield body
    for node in body.node:
        for graph in subgraphs(node):
            yield from nested(graph)


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs that a node's attributes hold."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def title(node: onnx.NodeProto) -> str:
    """What a message calls a node: its name and op, its first result where it has no name."""
    names = [node.name, *node.output]
    return f"node {next(filter(None, names), '')!r} ({node.op_type})"
