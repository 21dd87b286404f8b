"""Lowering a dynamic network to plain ONNX, and proving that it computes the same."""

import onnx

from hydrafy.errors import ModelError
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes import lower as passes
from hydrafy.runtime.verify import Verification, verify_lowered


def lower(program: Program, *, watch: base.Watch | None = None) -> onnx.ModelProto:
    """Lowers a dynamic program to an ONNX model with control flow that stock onnxruntime runs.

    The program stays as it is. The result is compared with it before it is returned.

    Args:
        program: a dynamic program.
        watch: called after each pass.

    Raises:
        ModelError: the program is not dynamic.
        VerifyError: the result does not compute what the program does.
    """
    return lower_program(program, watch=watch)[0].to_onnx()


def lower_program(
    program: Program, *, watch: base.Watch | None = None
) -> tuple[Program, Verification]:
    """Like `lower`, but returns the lowered program and what the comparison found."""
    if program.stage == "lowered":
        raise ModelError("the network is lowered already: lower the file that it was made from")
    if program.stage != "dynamic":
        raise ModelError("the network is static, there is nothing to skip: convert it first")
    lowered = base.run(program.clone(), passes.pipeline(), watch)
    return lowered, verify_lowered(program, lowered)
