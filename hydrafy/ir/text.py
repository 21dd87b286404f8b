"""A program as text: one line a node, weights by shape only, regions indented."""

from collections.abc import Iterator

import onnx_ir as ir

from hydrafy.ir.program import Program


def text(program: Program) -> str:
    """The graph as a person reads it, and as golden tests compare it."""
    return "\n".join(_graph(program.graph, "")) + "\n"


def _graph(graph: ir.Graph, indent: str) -> Iterator[str]:
    if graph.inputs:
        yield indent + "in  " + ", ".join(_typed(v) for v in graph.inputs)
    for value in graph.initializers.values():
        yield f"{indent}let {_typed(value)}{_small(value)}"
    for node in graph:
        yield indent + _node(node)
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                yield f"{indent}  {attribute.name}:"
                yield from _graph(attribute.as_graph(), indent + "    ")
    yield indent + "out " + ", ".join(v.name or "?" for v in graph.outputs)


def _node(node: ir.Node) -> str:
    kind = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
    plain = [a for a in node.attributes.values() if a.type != ir.AttributeType.GRAPH]
    options = ", ".join(f"{a.name}={_attribute(a)}" for a in sorted(plain, key=lambda a: a.name))
    inputs = ", ".join((v.name or "?") if v is not None else "" for v in node.inputs)
    outputs = ", ".join(_typed(v) for v in node.outputs)
    return f"{outputs} = {kind}({inputs})" + (f" <{options}>" if options else "")


def _attribute(attribute: ir.Attr) -> str:
    value = attribute.value
    if isinstance(value, tuple | list):
        return "[" + ",".join(str(v) for v in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _typed(value: ir.Value) -> str:
    shape = "?" if value.shape is None else ",".join(str(d) for d in value.shape)
    kind = value.dtype.name.lower() if value.dtype is not None else "?"
    return f"{value.name}:{kind}[{shape}]"


def _small(value: ir.Value) -> str:
    tensor = value.const_value
    if tensor is None or tensor.size > 8:
        return ""
    return " = " + str(tensor.numpy().tolist())
