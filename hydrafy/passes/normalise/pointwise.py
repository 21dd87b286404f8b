"""Brings the linear layers of a squeeze-and-excitation gate to 1x1 convolutions."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.ir.values import constant
from hydrafy.passes.base import Pass
from hydrafy.passes.normalise.replace import drop, hand_over

VIEWS = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
EACH = frozenset({
    "Celu", "Clip", "Elu", "Erf", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Relu",
    "Sigmoid", "Softplus", "Tanh",
})  # fmt: skip
BOTH = frozenset({"Add", "Div", "Mul", "Sub"})


@dataclass(frozen=True)
class PointwiseGates(Pass):
    """What is computed on [N, C] from a pooled map [N, C, 1, 1] to another is computed on maps.

    Such gates are written by linear layers and views, or by 1x1 convolutions. In the second form
    all values of a block are maps, so its channels can be followed from end to end. Whatever else
    reads a value [N, C] reads the flattened map, so no weight is there twice.
    """

    name: ClassVar[str] = "pointwise-gates"

    def apply(self, program: Program) -> list[str]:
        """See the class."""
        graph, work = program.graph, _Work(program.graph)
        for node in list(graph):
            flat = _flat(node)
            region: dict[ir.Node, None] = {}
            if flat is None or not _collect(flat, region):
                continue
            for inner in region:
                work.put(inner)
            drop(node, work.maps[flat])
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        work.rename()
        return [f"{work.layers} linear layers became 1x1 convolutions"] if work.layers else []


@dataclass
class _Work:
    """The maps that stand for values [N, C], and the names that their weights had."""

    graph: ir.Graph
    maps: dict[ir.Value, ir.Value] = field(default_factory=dict)
    names: list[tuple[ir.Value, str]] = field(default_factory=list)
    layers: int = 0

    def put(self, node: ir.Node) -> None:
        """Computes what `node` computes on maps, and its result from there."""
        out = node.outputs[0]
        if out in self.maps:
            return
        pooled = _pooled(node)
        if pooled is not None:
            self.maps[out] = pooled
            return
        kind, inputs, attributes = self._written(node)
        twin = build.op(kind, inputs, f"{out.name}.map", **attributes)
        twin.name = node.name
        flatten = build.op("Flatten", twin.outputs, f"{out.name}.vector", axis=1)
        self.graph.insert_before(node, [twin, flatten])
        self.maps[out] = self.maps[flatten.outputs[0]] = twin.outputs[0]
        hand_over(out, flatten.outputs[0])
        self.layers += kind == "Conv"

    def rename(self) -> None:
        """Gives the weights the names of those that nobody reads any more."""
        for value, name in self.names:
            if name not in self.graph.initializers:
                value.name = name

    def _written(self, node: ir.Node) -> tuple[str, list[ir.Value | None], dict[str, Any]]:
        """The op, inputs and attributes of the node that computes on maps."""
        if node.op_type in ("Gemm", "MatMul"):
            weight = _array(node.inputs[1])
            kernel = weight if node.attributes.get_int("transB", 0) else weight.T
            weights = [self._weight(node.inputs[1], kernel[:, :, None, None])]
            weights += [self._weight(v, _array(v).ravel()) for v in node.inputs[2:]]
            return "Conv", [self._of(node.inputs[0]), *weights], {"kernel_shape": [1, 1]}
        if node.op_type == "ReduceMean":
            return node.op_type, list(node.inputs), {"keepdims": 1}
        inputs = [self._of(value) for value in node.inputs]
        return node.op_type, inputs, {a.name: a.value for a in node.attributes.values()}

    def _of(self, value: ir.Value | None) -> ir.Value | None:
        """The map that stands for an input; a vector becomes one number a channel."""
        array = constant(value)
        if array is not None and array.size > 1:
            return self._weight(value, array.reshape(-1, 1, 1))
        return value if value is None else self.maps.get(value, value)

    def _weight(self, old: ir.Value | None, array: np.ndarray) -> ir.Value:
        name = old.name if old is not None and old.name else ""
        new = build.weight(self.graph, f"{name}.map{len(self.names)}", array)
        self.names.append((new, name))
        return new


def _flat(node: ir.Node) -> ir.Value | None:
    """The value [N, C] that a view makes a map [N, C, 1, 1], perhaps by further views."""
    if node.op_type not in VIEWS or not _is_map(node.outputs[0]):
        return None
    value = node.inputs[0]
    while value is not None and _rank(value) > 2:
        maker = value.producer()
        if maker is None or maker.op_type not in VIEWS or _is_map(value):
            return None
        value = maker.inputs[0]
    return value if _are_alike(value, node.outputs[0]) else None


def _pooled(node: ir.Node) -> ir.Value | None:
    """The map of which a view makes a value [N, C], perhaps by further views."""
    value: ir.Value | None = node.outputs[0]
    while value is not None and not _is_map(value):
        maker = value.producer()
        if maker is None or maker.op_type not in VIEWS:
            return None
        value = maker.inputs[0]
    return value if _are_alike(node.outputs[0], value) else None


def _are_alike(flat: ir.Value | None, image: ir.Value | None) -> bool:
    """Whether [N, C] and [N, C, 1, 1] are of one C, so that a view mixes no samples."""
    if flat is None or image is None or _rank(flat) != 2:
        return False
    assert flat.shape is not None and image.shape is not None
    return isinstance(flat.shape[1], int) and flat.shape[1] == image.shape[1]


def _collect(value: ir.Value, found: dict[ir.Node, None]) -> bool:
    """Gathers the nodes that compute a value [N, C] from maps; False if others have a part."""
    node = value.producer()
    if constant(value) is not None:
        return True
    if node is None or node.domain != "":
        return False
    if node not in found:
        source = _pooled(node) is not None or _averages(node)
        reads = [v for v in node.inputs if v is not None]
        if not source and not (_can_move(node) and all(_collect(v, found) for v in reads)):
            return False
        found[node] = None
    return True


def _averages(node: ir.Node) -> bool:
    """Whether a node makes [N, C] of maps [N, C, H, W] by their means."""
    axes = (
        constant(node.inputs[1]) if node.op_type == "ReduceMean" and len(node.inputs) > 1 else None
    )
    rank = _rank(node.inputs[0])
    return axes is not None and rank == 4 and sorted(int(a) % rank for a in axes) == [2, 3]


def _can_move(node: ir.Node) -> bool:
    """Whether a node computes the same on maps, given weights of another shape."""
    if node.op_type in EACH:
        return True
    arrays = [constant(v) for v in node.inputs]
    width = node.outputs[0].shape[-1] if node.outputs[0].shape is not None else None
    if node.op_type in BOTH:
        return all(a is None or _is_alike(a, width) for a in arrays)
    if node.op_type not in ("Gemm", "MatMul") or arrays[1] is None or arrays[1].ndim != 2:
        return False
    plain = all(node.attributes.get_float(name, 1.0) == 1 for name in ("alpha", "beta"))
    bias = arrays[2] if len(arrays) > 2 else None
    fits = len(arrays) < 3 or (bias is not None and bias.size == width and _is_alike(bias, width))
    return plain and fits and not node.attributes.get_int("transA", 0)


def _is_alike(array: np.ndarray, width: object) -> bool:
    """Whether a constant is one number, or one for each channel, never one for each sample."""
    return array.shape in ((), (1,), (1, 1), (width,), (1, width))


def _array(value: ir.Value | None) -> np.ndarray:
    array = constant(value)
    assert array is not None
    return array


def _is_map(value: ir.Value | None) -> bool:
    """Whether a value has the shape [N, C, 1, 1]."""
    return value is not None and _rank(value) == 4 and list(value.shape or ())[2:] == [1, 1]


def _rank(value: ir.Value | None) -> int:
    return value.shape.rank() if value is not None and value.shape is not None else 0
