"""What a converter may ask for while the fx graph is built: tensors, constants, calls, refusals."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from torch import fx, nn

from hydrafy.errors import ModelError
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant

Converter = Callable[["Context", ir.Node], fx.Node]
"""Turns one ONNX node into one fx node (and the `get_attr` nodes of the weights it reads)."""

Operand = fx.Node | float | int | bool


class Context:
    """The fx graph under construction, and the tensors and modules that it refers to by name.

    `attributes` maps each name that the graph refers to onto a parameter, a buffer or a module.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.graph = fx.Graph()
        self.attributes: dict[str, nn.Module | torch.Tensor] = {}
        self._values: dict[ir.Value, Operand] = {}
        self._weights = set(program.graph.initializers)
        self._statistics = _statistics(program)

    def argument(self, value: ir.Value) -> None:
        """Makes a data input an argument of forward, named after it as far as Python allows."""
        made = self.graph.placeholder(_identifier(value.name or "x"))
        made.target = made.name  # fx mends the name of a node, but writes its target as it stands
        self.bind(value, made)

    def bind(self, value: ir.Value, result: Operand) -> None:
        """Says which fx node computes a value."""
        self._values[value] = result

    def tensor(self, value: ir.Value | None) -> Operand:
        """The operand that holds a value: a result, a parameter, a buffer or a plain number.

        An initializer of floats becomes a parameter; one of integers, one that a caller may
        override, one that no gradient reaches and the statistics of a BatchNormalization become
        buffers; all under their own names. A scalar that nobody can override is a constant of the
        network, not a weight: it becomes a Python number.
        """
        if value is None:
            raise ModelError("a node lacks an input that its op needs")
        if value not in self._values:
            fixed = constant(value)
            if fixed is not None and fixed.ndim == 0:
                return _number(fixed)
            self._values[value] = self._attribute(value)
        return self._values[value]

    def optional(self, value: ir.Value | None) -> Operand | None:
        """The operand that holds an optional input; None where it is left out."""
        return None if value is None else self.tensor(value)

    def constant(self, node: ir.Node, place: int) -> np.ndarray[Any, Any] | None:
        """The array of an input that must be known now; None where it is left out.

        Raises:
            ModelError: the input is computed, or may be overridden by a caller.
        """
        value = node.inputs[place] if place < len(node.inputs) else None
        if value is None:
            return None
        fixed = constant(value)
        if fixed is None:
            raise self.refuse(node, f"its input {value.name!r} is no constant")
        return fixed

    def ints(self, node: ir.Node, place: int) -> list[int] | None:
        """A constant input as a list of integers; None where it is left out."""
        fixed = self.constant(node, place)
        return None if fixed is None else [int(v) for v in fixed.reshape(-1)]

    def decimal(self, node: ir.Node, name: str, default: float) -> float:
        """A float attribute as the shortest decimal for it: 1e-05, not 9.9999997e-06."""
        return float(str(np.float32(node.attributes.get_float(name, default))))

    def call(self, node: ir.Node, function: Callable[..., Any], *args: Any) -> fx.Node:
        """A call of a function that stands at the top level of its file.

        Functions of our own stay whole when the module is traced again, as pickling does.
        """
        made = self.graph.create_node("call_function", function, args, {}, _name(node))
        if getattr(function, "__module__", "").startswith("hydrafy."):
            made.meta["is_wrapped"] = True
        return made

    def layer(self, node: ir.Node, path: str, module: nn.Module, *args: Operand) -> fx.Node:
        """A call of the module that owns the weights at `path`."""
        self.attributes[path] = module
        return self.graph.create_node("call_module", path, args, {}, _name(node))

    def module(self, node: ir.Node, module: nn.Module, *args: Operand) -> fx.Node:
        """A call of a module without weights; it is named after the node, or nearly so."""
        parts = (node.name or _name(node)).split(".")
        path = ".".join(f"{part}_" if keyword.iskeyword(part) else part for part in parts)
        while path in self.attributes or any(f"{w}.".startswith(f"{path}.") for w in self._weights):
            path += "_"
        return self.layer(node, path, module, *args)

    def path(self, node: ir.Node, slots: Sequence[str]) -> str | None:
        """Where a torch layer may own the node's weights, its inputs from the second on.

        That is `<path>` if they are named `<path>.<slot>` and nothing else reads them; else None.
        """
        weights = dict(zip(slots, node.inputs[1:], strict=False))
        paths = set()
        for slot, value in weights.items():
            if value is not None:
                name = value.name or ""
                alone = len(value.uses()) == 1 and not value.is_graph_output()
                if constant(value) is None or not alone or not name.endswith(f".{slot}"):
                    return None
                paths.add(name.removesuffix(f".{slot}"))
        if len(paths) != 1:
            return None
        found = paths.pop()
        foreign = [s for s in slots if weights.get(s) is None and f"{found}.{s}" in self._weights]
        return None if foreign else found

    def parameter(self, value: ir.Value) -> nn.Parameter:
        """An initializer as a parameter, which shares no memory with the program."""
        return nn.Parameter(self.array(value))

    def array(self, value: ir.Value) -> torch.Tensor:
        """A copy of an initializer as a tensor."""
        assert value.const_value is not None
        return torch.tensor(value.const_value.numpy())

    def refuse(self, node: ir.Node, why: str) -> ModelError:
        """The error for a node that cannot be brought to torch."""
        return ModelError(f"node {node.name!r} ({node.op_type}) cannot be trained in torch: {why}")

    def _attribute(self, value: ir.Value) -> fx.Node:
        if not value.is_initializer():
            raise ModelError(f"value {value.name!r} is read before it is computed")
        name = value.name or ""
        tensor = self.array(value)
        stopped = all(node.op_type == "StopGradient" for node in value.consumers())
        fixed = value.is_graph_input() or value in self._statistics or stopped
        trained = tensor.is_floating_point() and not fixed
        self.attributes[name] = nn.Parameter(tensor) if trained else tensor
        return self.graph.create_node("get_attr", name, (), {}, _identifier(name))


def _statistics(program: Program) -> set[ir.Value]:
    """The initializers behind the running means and variances, sliced or not."""
    waiting = [
        value
        for node in program.graph
        if node.op_type == "BatchNormalization" and node.domain == ""
        for value in node.inputs[3:5]
    ]
    found = set()
    while waiting:
        value = waiting.pop()
        if value is not None and value.is_initializer():
            found.add(value)
        elif value is not None and (node := value.producer()) is not None:
            waiting.append(node.inputs[0])
    return found


def _number(array: np.ndarray[Any, Any]) -> float | int | bool:
    item: float | int | bool = array.item()
    return item


def _name(node: ir.Node) -> str:
    return _identifier(node.outputs[0].name or node.name or node.op_type)


def _identifier(text: str) -> str:
    found = re.sub(r"\W", "_", text)
    return "self_" if found == "self" else found  # the one argument that fx does not know of
