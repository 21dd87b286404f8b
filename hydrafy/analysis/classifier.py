"""The final classifier: the fully connected layer whose rows are the classes."""

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from hydrafy.analysis.cuts import between, data_values
from hydrafy.analysis.layers import channels
from hydrafy.errors import ModelError
from hydrafy.ir.ops import is_select
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant


@dataclass(frozen=True)
class Classifier:
    """A fully connected layer, in whichever ops a file spells it.

    Attributes:
        node: its Gemm or MatMul.
        rows: its weight, [classes, features].
        bias: [classes], zeros if it has none.
        logits: [N, classes], what a loss reads: before a final Softmax or LogSoftmax.
    """

    node: ir.Node
    rows: np.ndarray
    bias: np.ndarray
    logits: ir.Value


def classifier(program: Program, features: ir.Value | None = None) -> Classifier:
    """The classifier that the prediction comes from.

    Args:
        program: a program whose first output is the prediction.
        features: what it must classify, averaged over the image; if None, anything.

    Raises:
        ModelError: the network does not end in a fully connected layer over its classes, the
            layer's weight is not finite, or it reads something else than the pooled features.
    """
    logits = _source(program.graph.outputs[0], "Identity")
    while (node := logits.producer()) is not None and node.op_type in ("LogSoftmax", "Softmax"):
        logits = _source(data_values(node)[0], "Identity")
    found = _layer(logits)
    if found is None and (node := logits.producer()) is not None and is_select(node):
        raise ModelError(
            "the network's prediction is a choice of another recipe's exits already: name that "
            "recipe last"
        )
    if found is None:
        raise ModelError(
            f"the network does not end in a fully connected layer (Gemm): output "
            f"{program.graph.outputs[0].name!r} has no class rows to cluster"
        )
    if not np.isfinite(found.rows).all() or not np.isfinite(found.bias).all():
        weight = found.node.inputs[1]
        assert weight is not None
        raise ModelError(
            f"the classifier's weight {weight.name!r} or its bias has values that are not finite: "
            "train the network again"
        )
    if features is not None:
        _check_head(found, features)
    return found


def _source(value: ir.Value, kind: str) -> ir.Value:
    """What a chain of one-input nodes of one kind starts from."""
    while (node := value.producer()) is not None and node.op_type == kind:
        source = node.inputs[0]
        assert source is not None
        value = source
    return value


def _layer(logits: ir.Value) -> Classifier | None:
    """The layer that computes the logits, with the biases that are added behind it."""
    node, biases = logits.producer(), []
    while node is not None and node.op_type in ("Add", "Identity"):
        data = data_values(node)
        if len(data) != 1:
            return None
        biases += [a for v in node.inputs if (a := constant(v)) is not None]
        node = data[0].producer()
    if node is None or node.op_type not in ("Gemm", "MatMul") or len(data_values(node)) != 1:
        return None
    weight = constant(node.inputs[1])
    if weight is None or weight.ndim != 2:
        return None
    scale, own = _number(node, "alpha", 1.0), constant(node.inputs[2]) if node.inputs[2:] else None
    rows = weight if _number(node, "transB", 0) else weight.T
    if own is not None:
        biases.append(own * np.float32(_number(node, "beta", 1.0)))
    bias = np.zeros((1, len(rows)), np.float32)
    for array in biases:
        if np.broadcast_shapes(array.shape[-1:], bias.shape) != bias.shape or array.size > len(
            rows
        ):
            return None
        bias = bias + array.reshape(1, -1)
    return Classifier(node, rows if scale == 1 else rows * np.float32(scale), bias[0], logits)


def _check_head(found: Classifier, features: ir.Value) -> None:
    layers = [n for n in between(features, found.logits) if n.op_type in ("Conv", "Gemm", "MatMul")]
    if layers != [found.node] or found.rows.shape[1] != channels(features):
        raise ModelError(
            f"the classifier {found.node.name!r} must follow global pooling of the features "
            f"{features.name!r} ({channels(features)} channels), with no layer in between: "
            f"it reads {found.rows.shape[1]} numbers"
        )


def _number(node: ir.Node, name: str, default: float) -> float:
    return float(node.attributes[name].value) if name in node.attributes else default
