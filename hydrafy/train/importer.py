"""Makes a program a torch.fx module: one fx node for each ONNX node, weights under their names."""

from __future__ import annotations

import keyword
from collections.abc import Mapping

import onnx_ir as ir
import torch
from torch import fx, nn

from hydrafy.errors import ModelError
from hydrafy.ir.program import Program
from hydrafy.train.context import Context
from hydrafy.train.converters import converters
from hydrafy.train.origin import CHILD, Origin

RESERVED = frozenset({"training", "meta", "graph", CHILD})
"""Attributes of a GraphModule that its class does not show."""


def to_torch(program: Program) -> fx.GraphModule:
    """A trainable module that computes, in eval mode, what the program computes in onnxruntime.

    Its forward takes the data input ([N, C, H, W] float32) and returns a dict from output name to
    tensor, in train and eval mode alike, the predictions first. The names of its parameters are
    those of the program's initializers; run-time inputs and the statistics of BatchNormalizations
    are buffers under theirs, so `module.tau.fill_(0.0)` sets a threshold. A Conv, Gemm or
    BatchNormalization that owns its weights is an `nn` layer; a weight that two nodes share is one
    parameter. The module may be copied, pickled and compiled, and `from_torch` makes it a program
    again.

    Raises:
        ModelError: the program is neither static nor dynamic, or has a node, a mode of training or
            a name that torch cannot express; the node is named.
    """
    if program.stage not in ("static", "dynamic"):
        remedy = (
            "read it with hydrafy.read first"
            if program.stage == "source"
            else "start from the dynamic file that it was lowered from"
        )
        raise ModelError(f"a program of stage {program.stage} cannot be trained: {remedy}")
    context = Context(program)
    for value in program.data_inputs:
        context.argument(value)
    table = converters()
    for node in program.graph:
        kind = (node.domain, node.op_type)
        if kind not in table:
            raise context.refuse(node, "its op is not one that hydrafy knows")
        context.bind(node.outputs[0], table[kind](context, node))
        _check_outputs(context, node)
    context.graph.output({v.name or "": context.tensor(v) for v in _ordered(program)})
    _check_names(context.attributes)
    module = fx.GraphModule(_tree(context.attributes), context.graph)
    held = {name for name, _ in (*module.named_parameters(), *module.named_buffers())}
    names = tuple(name for name in program.graph.initializers if name in held)
    module.add_module(CHILD, Origin(program.clone(), names))
    return module


def _tree(attributes: Mapping[str, nn.Module | torch.Tensor]) -> nn.Module:
    """A module that holds each attribute at its dotted name."""
    root = nn.Module()
    for name in sorted(attributes, key=lambda n: n.count(".")):
        *path, last = name.split(".")
        parent = root
        for part in path:
            if not hasattr(parent, part):
                parent.add_module(part, nn.Module())
            parent = getattr(parent, part)
        item = attributes[name]
        if isinstance(item, torch.Tensor) and not isinstance(item, nn.Parameter):
            parent.register_buffer(last, item)
        else:
            setattr(parent, last, item)
    return root


def _ordered(program: Program) -> list[ir.Value]:
    """The outputs, predictions first."""
    role = program.manifest.role
    return sorted(program.graph.outputs, key=lambda v: role(v.name or "") != "prediction")


def _check_outputs(context: Context, node: ir.Node) -> None:
    for value in node.outputs[1:]:
        if value.uses() or value.is_graph_output():
            raise context.refuse(node, f"something reads its further output {value.name!r}")


def _check_names(attributes: Mapping[str, nn.Module | torch.Tensor]) -> None:
    """Refuses names that torch cannot give to a parameter, before it does so in its own words."""
    for name in sorted(attributes):
        parts = name.split(".")
        if not all(parts):
            raise ModelError(f"the weight {name!r} has an empty part in its name: rename it")
        for part in parts:
            if hasattr(fx.GraphModule, part) or part in RESERVED or keyword.iskeyword(part):
                raise ModelError(
                    f"the weight {name!r} cannot be a parameter, because {part!r} means something "
                    "else to torch or to Python: rename it"
                )
        for end in range(1, len(parts)):
            outer = ".".join(parts[:end])
            if isinstance(attributes.get(outer), torch.Tensor):
                raise ModelError(
                    f"the weight {name!r} cannot be a parameter inside of the weight {outer!r}: "
                    "rename one"
                )
