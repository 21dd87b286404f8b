"""Brings a model to the least versions of the format and its ops that programs use."""

from dataclasses import dataclass
from typing import ClassVar

import onnx.version_converter
import onnx_ir as ir

from hydrafy.errors import ModelError, first_line
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass

LEAST_IR = 8  # of opset 18's time
LARGE = 1024  # elements from which a tensor is a weight, and no shape or bound that steers an op


@dataclass(frozen=True)
class RaiseOpset(Pass):
    """Converts opsets below 18 by ONNX's own converter; later ones stay.

    The IR version becomes at least 8: before 4, every initializer had to be an input.
    """

    name: ClassVar[str] = "raise-opset"

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: the converter has no way up from the model's opset.
        """
        notes = []
        if program.model.ir_version < LEAST_IR:
            notes.append(f"IR version {program.model.ir_version} became {LEAST_IR}")
        have = program.graph.opset_imports.get("", 1)
        if have < ops.OPSET:
            _convert(program, have)
            notes.append(f"opset {have} became {ops.OPSET}")
        program.model.ir_version = max(program.model.ir_version, LEAST_IR)
        return notes


def _convert(program: Program, have: int) -> None:
    """The converter sees large weights as inputs without data: it copies all that it sees."""
    light = program.model.clone()
    weights = _detach(light.graph)
    try:
        proto = onnx.version_converter.convert_version(ir.to_proto(light), ops.OPSET)
    except Exception as error:  # the converter raises bare RuntimeErrors and its own kinds
        raise ModelError(
            f"the model's opset {have} cannot be converted to {ops.OPSET}: {first_line(error)}; "
            "export it again with a newer opset"
        ) from error
    metadata = dict(program.model.metadata_props)
    program.model = ir.from_proto(proto)
    program.model.metadata_props.update(metadata)
    _attach(program.graph, weights)


def _detach(graph: ir.Graph) -> dict[str, tuple[ir.TensorProtocol, bool]]:
    """Makes large initializers inputs; says what they hold and whether they were inputs before."""
    found = {}
    for name, value in list(graph.initializers.items()):
        tensor = value.const_value
        if tensor is None or tensor.size < LARGE or value.is_graph_output():
            continue
        found[name] = (tensor, value.is_graph_input())
        del graph.initializers[name]
        value.const_value = None
        if not value.is_graph_input():
            graph.inputs.append(value)
    return found


def _attach(graph: ir.Graph, weights: dict[str, tuple[ir.TensorProtocol, bool]]) -> None:
    """The opposite of `_detach`."""
    for value in list(graph.inputs):
        tensor, listed = weights.get(value.name or "", (None, True))
        if tensor is not None:
            value.const_value = tensor
            graph.register_initializer(value)
        if not listed:
            graph.inputs.remove(value)
