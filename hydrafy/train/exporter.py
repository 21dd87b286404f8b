"""Brings trained weights back: the program a module was made from, with the module's tensors."""

import torch
from torch import nn

from hydrafy.errors import ModelError
from hydrafy.ir.program import Program
from hydrafy.train.origin import CHILD, Origin


def from_torch(module: nn.Module) -> Program:
    """The program that `to_torch` was given, with the module's parameters and buffers by name.

    Statistics of BatchNormalizations and run-time inputs come back too; each keeps the type that
    the program gives it, whatever type the module was trained in. The module may be on any device,
    compiled, or wrapped for several of them.

    Raises:
        ModelError: the module was not made by `to_torch`, or its weights were replaced by others.
    """
    inner = _unwrapped(module)
    origin = getattr(inner, CHILD, None)
    if not isinstance(origin, Origin):
        raise ModelError(
            f"this {type(module).__name__} was not made by hydrafy.to_torch: only such a module "
            "knows the program that its weights belong to"
        )
    tensors: dict[str, torch.Tensor] = dict(inner.named_buffers(remove_duplicate=False))
    tensors.update(inner.named_parameters(remove_duplicate=False))
    program = origin.program.clone()
    for name in origin.names:
        if name not in tensors:
            raise ModelError(f"the module has lost its weight {name!r}: undo what replaced it")
        before = program.weight(name)
        tensor = tensors[name].detach().cpu()
        array = (tensor.double() if tensor.is_floating_point() else tensor).numpy()
        if array.shape != before.shape and not program.graph.initializers[name].is_graph_input():
            raise ModelError(
                f"the weight {name!r} has the shape {list(array.shape)}, in the program it has "
                f"{list(before.shape)}: keep the shapes of weights"
            )
        program.set_weight(name, array.astype(before.dtype, copy=True))
    return program


def _unwrapped(module: nn.Module) -> nn.Module:
    """The module inside of torch.compile's and DistributedDataParallel's wrappers."""
    children = dict(module.named_children())
    if CHILD in children:
        return module
    inner = children.get("_orig_mod", children.get("module"))
    return module if inner is None else _unwrapped(inner)
