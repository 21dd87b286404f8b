"""Gives every layer, weight and value a readable name that PyTorch would accept."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass

SLOTS = {
    "Conv": ("weight", "bias"),
    "Gemm": ("weight", "bias"),
    "BatchNormalization": ("weight", "bias", "running_mean", "running_var"),
}
"""The names that PyTorch gives to the weights of a layer, in ONNX's order of inputs."""


@dataclass(frozen=True)
class NameLayers(Pass):
    """Names a layer after its weights, else after its node, else after its op and number.

    `/layer1/layer1.0/conv1/Conv` with weight `onnx::Conv_193` becomes layer `layer1.0.conv1` with
    weight `layer1.0.conv1.weight`. Inputs and outputs of the graph keep their names, and so do
    weights that several nodes share.
    """

    name: ClassVar[str] = "name-layers"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph = program.graph
        fixed = {v.name for v in (*graph.inputs, *graph.outputs)}
        taken: set[str] = {name for name in fixed if name}
        counts: Counter[str] = Counter()
        renamed = []
        final: list[tuple[ir.Value, str]] = []
        for node in graph:
            slots = SLOTS.get(node.op_type, ())
            weights = [v for v in node.inputs[1:] if v is not None]
            path = _free(_path(node, weights, counts), taken)
            node.name = path
            for value, slot in zip(node.inputs[1:], slots, strict=False):
                if value is not None and _is_own(value):
                    final.append((value, _free(f"{path}.{slot}", taken)))
            for place, value in enumerate(node.outputs):
                if not value.is_graph_output():
                    name = path if place == 0 else _free(f"{path}.{place}", taken)
                    final.append((value, name))
        new = {id(value) for value, _ in final}
        others = [
            v
            for v in graph.initializers.values()
            if id(v) not in new and not v.is_graph_output() and not v.is_graph_input()
        ]
        final += [(v, _free(_clean(v.name or "value"), taken)) for v in others]
        for number, (value, name) in enumerate(final):
            if value.name != name:
                renamed.append(f"{value.name} is {name}")
            value.name = f"hydrafy.renaming.{number}"
        for value, name in final:
            value.name = name
        return [f"{len(renamed)} names: " + "; ".join(renamed[:3]) + " ..."] if renamed else []


def _path(node: ir.Node, weights: list[ir.Value], counts: Counter[str]) -> str:
    if node.op_type in SLOTS and weights:
        text = weights[0].name or ""
        if text.endswith(".weight") and len(weights[0].uses()) == 1:
            return _clean(text.removesuffix(".weight"))
    scoped = _from_scopes(node)
    if scoped:
        return scoped
    counts[node.op_type] += 1
    return f"{node.op_type.lower()}_{counts[node.op_type]}"


def _is_own(value: ir.Value) -> bool:
    """Whether a value is a weight that one node alone reads."""
    return value.is_initializer() and len(value.uses()) == 1 and not value.is_graph_output()


def _from_scopes(node: ir.Node) -> str:
    """The module path in a TorchScript node name, or the node name itself, made clean."""
    text = node.name or ""
    if not text.startswith("/"):
        return _clean(text)
    path: list[str] = []
    for part in text.strip("/").split("/"):
        if path and part.startswith(path[-1] + "."):
            path.pop()
        path.append(part)
    if (
        len(path) > 1
        and re.fullmatch(rf"{node.op_type}(_\d+)?", path[-1])
        and node.op_type in SLOTS
    ):
        path.pop()
    return _clean(".".join(path))


def _clean(text: str) -> str:
    """`text` with nothing but letters, digits, underscores and single inner dots."""
    return re.sub(r"\.+", ".", re.sub(r"[^0-9A-Za-z_.]", "_", text)).strip("._")


def _free(name: str, taken: set[str]) -> str:
    candidate, number = name or "node", 1
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    taken.add(candidate)
    return candidate
