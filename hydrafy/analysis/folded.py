"""Convolutions into which an exporter may have folded a BatchNormalization."""

import onnx_ir as ir

from hydrafy.analysis.cuts import data_values
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant, dims

LAYERS = frozenset({"Conv", "Gemm", "MatMul"})
POOLS = frozenset({"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMax", "ReduceMean"})


def folded(program: Program) -> list[ir.Node]:
    """The convolutions that may have lost the BatchNormalization behind them, in order.

    Folding leaves a bias. So a convolution without one never had a BatchNormalization behind it,
    as those before a join in DenseNets and pre-activation ResNets. No exporter's work either are
    convolutions whose BatchNormalization is there, those over pooled vectors (the gates of
    squeeze and excitation), and those behind which no layer follows: classifiers.
    """
    pooled, followed = _pooled(program.graph), _followed(program.graph)
    return [
        node
        for node in program.graph
        if node.op_type == "Conv"
        and any(constant(bias) is not None for bias in node.inputs[2:])
        and node.outputs[0] not in pooled
        and node in followed
        and all(user.op_type != "BatchNormalization" for user, _ in node.outputs[0].uses())
    ]


def advice(program: Program) -> str:
    """A sentence for a network most of whose convolutions lack a BatchNormalization, else none."""
    lost = len(folded(program))
    kept = sum(node.op_type == "BatchNormalization" and _is_image(node) for node in program.graph)
    if lost <= kept:
        return ""
    return (
        f"{lost} convolutions have a bias where a BatchNormalization may have been: such a network "
        "trains better if `hydrafy convert --restore-batchnorm DATA` made it."
    )


def _is_image(node: ir.Node) -> bool:
    return len(dims(node.outputs[0])) == 3


def _pooled(graph: ir.Graph) -> set[ir.Value]:
    """Values that have one number a channel, because what they are computed from was averaged."""
    found: set[ir.Value] = set()
    for node in graph:
        data = data_values(node)
        if (data and found.issuperset(data)) or _pools(node):
            found |= set(node.outputs)
    return found


def _pools(node: ir.Node) -> bool:
    return node.op_type in POOLS and all(size == 1 for size in dims(node.outputs[0])[1:])


def _followed(graph: ir.Graph) -> set[ir.Node]:
    """Nodes behind which another layer with weights stands."""
    found: set[ir.Node] = set()
    for node in reversed(graph):
        users = [user for value in node.outputs for user, _ in value.uses()]
        if any(user in found or user.op_type in LAYERS for user in users):
            found.add(node)
    return found
