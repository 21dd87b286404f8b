"""Which machine this is, as far as files with onnxruntime's own kernels must know."""

import functools
import platform
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime

from hydrafy.errors import ModelError
from hydrafy.execute.optimised import optimised
from hydrafy.ir import build, ops
from hydrafy.ir.manifest import Machine, Manifest
from hydrafy.ir.program import Program


@functools.cache
def this_machine() -> Machine:
    """This machine; the block is 1 where onnxruntime has no blocked kernels here."""
    return Machine(onnxruntime.__version__, platform.machine(), _block(), _processor())


def check_machine(manifest: Manifest) -> None:
    """Does nothing where a program with this manifest can run here.

    Raises:
        ModelError: it holds kernels of another family of processors, or onnxruntime's version.
    """
    made, here = manifest.machine, this_machine() if manifest.machine is not None else None
    if made is None or here is None:
        return
    for name, there, ours in (
        ("onnxruntime", made.onnxruntime, here.onnxruntime),
        ("processors of", made.architecture, here.architecture),
        ("blocks of", made.block, here.block),
    ):
        if there != ours:
            raise ModelError(
                f"the file was lowered with --target native on {made.processor} and needs {name} "
                f"{there}, here it is {ours}: lower it on this machine, or with --target portable"
            )


def _block() -> int:
    """The channels of a block, asked from onnxruntime: it fills up the only one of a filter."""
    x = ir.val("x", ir.DataType.FLOAT, ["N", 1, 8, 8])
    graph = ir.Graph([x], [], nodes=[], opset_imports={"": ops.OPSET}, name="probe")
    kernel = build.weight(graph, "kernel", np.ones((1, 1, 3, 3), np.float32))
    conv = build.op("Conv", [x, kernel], "y")
    graph.append(conv)
    graph.outputs.extend(conv.outputs)
    found = optimised(Program(ir.Model(graph, ir_version=8), Manifest()))
    return max(int(weight.dims[0]) for weight in found.graph.initializer)


def _processor() -> str:
    """The processor's name: from Linux where that has it, else from Python."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
