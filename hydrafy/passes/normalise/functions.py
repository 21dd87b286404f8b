"""Writes out the functions that a model brings along, so that nodes are of standard ops."""

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir.passes.common

from hydrafy.errors import ModelError, first_line
from hydrafy.ir import ops
from hydrafy.ir.program import Program
from hydrafy.passes.base import Pass


@dataclass(frozen=True)
class InlineFunctions(Pass):
    """A call of a model-local function gives way to the function's nodes.

    The dynamo exporter writes such functions, of domains pkg.*, when it is told to keep modules.
    Those of the domain `hydrafy` stay. That no function calls itself was checked when the model
    was read.
    """

    name: ClassVar[str] = "inline-functions"

    def apply(self, program: Program) -> list[str]:
        """See the class.

        Raises:
            ModelError: a function is of another opset than the model.
        """
        others = [key for key in program.model.functions if key[0] != ops.DOMAIN]
        if not others:
            return []
        inline = onnx_ir.passes.common.InlinePass(lambda function: function.domain != ops.DOMAIN)
        try:
            inline(program.model)
        except Exception as error:  # the library wraps what it raises in several ways
            cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
            raise ModelError(
                f"the model's functions cannot be written out: {first_line(cause)}"
            ) from error
        for key in others:  # those that nothing calls
            program.model.functions.pop(key, None)
        return [f"{len(others)} functions were written out"]
