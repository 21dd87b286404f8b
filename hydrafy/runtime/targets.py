"""The forms of a dynamic network for other runtimes, for this machine alone, and for fewer bits."""

from hydrafy.errors import ModelError
from hydrafy.execute.machine import this_machine
from hydrafy.ir.program import Program
from hydrafy.passes import base, targets
from hydrafy.passes.targets.half import HalfPrecision


def dense(dynamic: Program, *, watch: base.Watch | None = None) -> Program:
    """A dynamic program in standard ops without control flow: every row computes everything.

    Args:
        dynamic: stays as it is.
        watch: called after each pass.
    """
    return base.run(dynamic.clone(), targets.dense_pipeline(), watch)


def native(lowered: Program, *, watch: base.Watch | None = None) -> Program:
    """A lowered program with the blocked kernels of this machine, within regions and between.

    Args:
        lowered: of the target `portable`; stays as it is.
        watch: called after each pass.

    Raises:
        ModelError: onnxruntime has no blocked kernels for this machine's processor.
    """
    machine = this_machine()
    if machine.block < 2:
        raise ModelError(
            f"onnxruntime has no blocked kernels for this processor ({machine.processor}): "
            "lower with --target portable"
        )
    return base.run(lowered.clone(), targets.native_pipeline(machine.block), watch)


def half(lowered: Program, *, watch: base.Watch | None = None) -> Program:
    """A lowered program in float16, its gates, inputs and outputs in float32.

    On a CPU that saves room in the file, no time: onnxruntime computes in float32 there, and casts.

    Args:
        lowered: of the target `portable` or `dense`; stays as it is.
        watch: called after each pass.

    Raises:
        ModelError: the program is for this machine's kernels, or a weight is too large.
    """
    if lowered.manifest.target == "native":
        raise ModelError(
            "onnxruntime's blocked kernels compute in float32: lower with --target portable or "
            "dense, or without --precision"
        )
    return base.run(lowered.clone(), [HalfPrecision()], watch)
