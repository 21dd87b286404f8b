"""Makes a factor or an offset for each channel part of the layer before it, or a layer."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass
from hydrafy.passes.normalise.edit import only_reader, set_constant
from hydrafy.passes.normalise.replace import drop, swap

EPSILON = 1e-5  # ONNX's default


@dataclass(frozen=True)
class FoldAffines(Pass):
    """Mul, Div, Add and Sub by constants [C, 1, 1] go into the BatchNormalization or Conv before.

    Arithmetic on the pixels stays: it is preparation, no layer. So does a single number for all
    channels, which is mostly part of an activation.

    Args:
        alone: whether those without such a layer become a BatchNormalization with mean 0 and
            variance 1, which runs faster. Not for a network that is still to be trained: it would
            normalise by the statistics of batches, which the affine never did.
    """

    name: ClassVar[str] = "fold-affines"
    alone: bool = False

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, folded, made = program.graph, 0, 0
        pixels = set(program.data_inputs)
        for node in list(graph):
            if node.op_type == "Transpose" and node.inputs[0] in pixels:
                pixels.add(node.outputs[0])
            affine = _affine(node)
            if affine is None:
                continue
            source, scale, shift = affine
            if source in pixels:
                pixels.add(node.outputs[0])
            elif only_reader(source) is node and _fold(graph, source.producer(), scale, shift):
                drop(node, source)
                folded += 1
            elif self.alone:
                _make(graph, node, source, scale, shift)
                made += 1
        notes = [f"{folded} affine nodes went into the layer before them"] if folded else []
        return [*notes, f"{made} became BatchNormalizations"] if made else notes


def _affine(node: ir.Node) -> tuple[ir.Value, np.ndarray, np.ndarray] | None:
    """The value that a node scales and shifts, and by what: [C] each, in float64."""
    if node.op_type not in ("Add", "Div", "Mul", "Sub") or node.domain != "":
        return None
    left, right = node.inputs
    a, b = constant(left), constant(right)
    source, array = (right, a) if a is not None else (left, b)
    if source is None or array is None or source.shape != node.outputs[0].shape:
        return None
    shape = list(source.shape or ())
    if len(shape) != 4 or array.size < 2 or array.shape[-3:] != (shape[1], 1, 1):
        return None
    if array.size != shape[1] or (node.op_type == "Div" and a is not None):
        return None
    one, zero = np.ones(array.size), np.zeros(array.size)
    number = array.reshape(-1).astype(np.float64)
    if node.op_type == "Mul":
        return source, number, zero
    if node.op_type == "Div":
        return source, 1 / number, zero
    if node.op_type == "Add":
        return source, one, number
    return (source, -one, number) if a is not None else (source, one, -number)


def _fold(graph: ir.Graph, layer: ir.Node | None, scale: np.ndarray, shift: np.ndarray) -> bool:
    """Lets a layer scale and shift its own result, if it is one that can."""
    if layer is None or layer.domain != "":
        return False
    if layer.op_type not in ("BatchNormalization", "Conv"):  # their scale and offset stand alike
        return False
    weight = constant(layer.inputs[1])
    bias = constant(layer.inputs[2]) if len(layer.inputs) > 2 else np.zeros_like(scale)
    if weight is None or bias is None:
        return False
    factor = scale.reshape(-1, *[1] * (weight.ndim - 1))
    set_constant(graph, layer, 1, (weight * factor).astype(weight.dtype))
    new = bias * scale + shift
    if len(layer.inputs) > 2 or new.any():
        set_constant(graph, layer, 2, new.astype(weight.dtype))
    return True


def _make(
    graph: ir.Graph, node: ir.Node, source: ir.Value, scale: np.ndarray, shift: np.ndarray
) -> None:
    arrays = {
        "scale": scale * np.sqrt(1 + EPSILON),
        "shift": shift,
        "mean": np.zeros_like(shift),
        "variance": np.ones_like(shift),
    }
    weights = [
        build.weight(graph, f"{node.outputs[0].name}.{slot}", array.astype(np.float32))
        for slot, array in arrays.items()
    ]
    swap(node, "BatchNormalization", [source, *weights], epsilon=EPSILON)
