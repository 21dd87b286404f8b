"""Makes the batch dimension free, and knows every value's shape behind it."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common

from hydrafy.errors import ModelError
from hydrafy.ir import build
from hydrafy.ir.program import Program
from hydrafy.ir.titles import title
from hydrafy.ir.values import constant
from hydrafy.ir.verify import BATCH
from hydrafy.passes.base import Pass
from hydrafy.passes.normalise.vocabulary import check_op


@dataclass(frozen=True)
class FreeBatch(Pass):
    """The input's first dimension becomes `N`; Reshapes keep the first dimension by a 0.

    A Squeeze of all axes of size 1 names them, lest it drops the batch of a single image.

    The shapes that the file states, completed by `InferShapes`, tell what a Reshape
    does to one image; its target is then written so that it holds for any number of them.
    """

    name: ClassVar[str] = "free-batch"

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: the network has not one image input of rank 4, or an image size is open; a
                node's op is not in the vocabulary, or the node does not fit its inputs.
        """
        source = _image_input(program)
        notes = [n for node in program.graph for n in _reshape_rows(program, node)]
        notes += [n for node in program.graph for n in _squeeze_rows(program, node)]
        assert source.shape is not None
        if source.shape[0] != BATCH:
            notes.insert(0, f"the batch dimension {source.shape[0]} became {BATCH}")
            source.shape = ir.Shape([BATCH, *source.shape[1:]])
        onnx_ir.passes.common.RemoveUnusedNodesPass()(program.model)
        for node in program.graph:
            check_op(node)
            _infer(node)
        return notes


def _image_input(program: Program) -> ir.Value:
    inputs = program.data_inputs
    if len(inputs) != 1:
        names = ", ".join(repr(v.name) for v in inputs) or "none"
        raise ModelError(f"the network must have one input, an image batch; it has {names}")
    shape = inputs[0].shape
    if shape is None or shape.rank() != 4:
        raise ModelError(
            f"input {inputs[0].name!r} has the shape {shape}: an image batch [N, C, H, W] is needed"
        )
    if not all(isinstance(d, int) for d in list(shape)[1:]):
        raise ModelError(
            f"input {inputs[0].name!r} has the shape {shape}: export it with a fixed image size"
        )
    return inputs[0]


def _reshape_rows(program: Program, node: ir.Node) -> list[str]:
    if node.op_type != "Reshape" or node.domain != "":
        return []
    source, target = node.inputs[0], node.inputs[1]
    assert source is not None
    before, after = source.shape, node.outputs[0].shape
    if before is None or after is None or not before.rank() or not after.rank():
        return []
    row, new = list(before)[1:], list(after)[1:]
    if before[0] == after[0] and all(isinstance(d, int) for d in row):
        new = _completed(new, math.prod(d for d in row if isinstance(d, int)))
    if not all(isinstance(d, int) for d in (*row, *new)) or math.prod(row) != math.prod(new):
        return []
    wanted = np.array([0, *new], np.int64)
    have = constant(target)
    if have is not None and np.array_equal(have, wanted):
        return []
    fixed = build.weight(program.graph, f"{node.name or node.outputs[0].name}.target", wanted)
    node.replace_input_with(1, fixed)
    node.attributes.pop("allowzero", None)
    return [f"Reshape {node.name!r} keeps its rows: target {wanted.tolist()}"]


def _squeeze_rows(program: Program, node: ir.Node) -> list[str]:
    source = node.inputs[0] if node.op_type == "Squeeze" and node.domain == "" else None
    if source is None or source.shape is None or len(node.inputs) > 1:
        return []
    sizes = list(source.shape)
    if sizes[:1] == [1] or not all(isinstance(d, int) for d in sizes[1:]):
        return []
    name = node.outputs[0].name
    axes = np.array([axis for axis, size in enumerate(sizes) if axis and size == 1], np.int64)
    if not axes.size:
        node.op_type = "Identity"
        return [f"Squeeze {name!r} keeps its rows: it does nothing"]
    node.resize_inputs(2)
    node.replace_input_with(1, build.weight(program.graph, f"{name}.axes", axes))
    return [f"Squeeze {name!r} keeps its rows: axes {axes.tolist()}"]


def _completed(shape: list[int | ir.SymbolicDim], size: int) -> list[int | ir.SymbolicDim]:
    """A shape of `size` elements whose only open dimension, if it has one, is known."""
    known = math.prod(d for d in shape if isinstance(d, int))
    if sum(not isinstance(d, int) for d in shape) != 1 or not known or size % known:
        return shape
    return [d if isinstance(d, int) else size // known for d in shape]


def _infer(node: ir.Node) -> None:
    try:
        build.infer(node)
    except Exception as error:  # ONNX's inference raises bare RuntimeErrors, and its own kinds
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"{title(node)} ({node.op_type}) does not fit its inputs: {reason}"
        ) from error
