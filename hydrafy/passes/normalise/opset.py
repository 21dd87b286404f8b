"""Brings a model to the least versions of the format and its ops that programs use."""

from dataclasses import dataclass
from typing import ClassVar

import onnx.version_converter
import onnx_ir as ir

from hydrafy.errors import ModelError
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass

LEAST_IR = 8  # of opset 18's time


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
    try:
        proto = onnx.version_converter.convert_version(ir.to_proto(program.model), ops.OPSET)
    except Exception as error:  # the converter raises bare RuntimeErrors and its own kinds
        raise ModelError(
            f"the model's opset {have} cannot be converted to {ops.OPSET}: {error}; "
            "export it again with a newer opset"
        ) from error
    metadata = dict(program.model.metadata_props)
    program.model = ir.from_proto(proto)
    program.model.metadata_props.update(metadata)
