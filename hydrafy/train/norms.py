"""The BatchNorms of a module, and which of them are frozen."""

from collections.abc import Iterator
from operator import attrgetter

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hydrafy.train.converters.batchnorm import Normalise

Norm = _BatchNorm | Normalise


def norms(module: nn.Module) -> dict[str, Norm]:
    """All layers that normalise by the statistics of a batch, by path."""
    return {path: part for path, part in module.named_modules() if isinstance(part, Norm)}


def frozen(module: nn.Module) -> frozenset[str]:
    """Paths of the layers neither whose scale nor whose shift is trained.

    A layer that has neither is not frozen. Where they are not the layer's own, the graph of the
    module from `to_torch` tells which parameters they are made of.
    """
    weights = {path: list(layer.parameters()) for path, layer in norms(module).items()}
    for path, part in module.named_modules():
        if isinstance(part, fx.GraphModule):
            weights |= {f"{path}.{name}".lstrip("."): found for name, found in _given(part)}
    return frozenset(
        path for path, held in weights.items() if held and not any(p.requires_grad for p in held)
    )


def _given(module: fx.GraphModule) -> Iterator[tuple[str, list[nn.Parameter]]]:
    """The parameters behind the scale and the shift of each layer that is given them."""
    for node in module.graph.nodes:
        if node.op == "call_module" and isinstance(module.get_submodule(node.target), Normalise):
            yield node.target, [p for operand in node.args[1:3] for p in _behind(module, operand)]


def _behind(module: fx.GraphModule, node: object) -> Iterator[nn.Parameter]:
    """The parameters that a node is computed from; a plain number has none."""
    if not isinstance(node, fx.Node):
        return
    found = attrgetter(str(node.target))(module) if node.op == "get_attr" else None
    if isinstance(found, nn.Parameter):
        yield found
    for source in node.all_input_nodes:
        yield from _behind(module, source)
