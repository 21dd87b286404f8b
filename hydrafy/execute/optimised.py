"""What onnxruntime makes of a model on this machine: its optimised graph."""

import tempfile
from pathlib import Path

import onnx
import onnxruntime

from hydrafy.ir.program import Program


def optimised(program: Program) -> onnx.ModelProto:
    """The graph that onnxruntime's CPU provider would run, at its highest level of optimisation.

    Names of inputs, outputs and Ifs stay; ops of onnxruntime's own domains take the place of
    standard ones. Metadata of nodes is lost.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory(prefix="hydrafy-") as folder:
        file = Path(folder) / "optimised.onnx"
        options.optimized_model_filepath = str(file)
        given = program.save(Path(folder) / "given.onnx")
        onnxruntime.InferenceSession(str(given), options, providers=["CPUExecutionProvider"])
        return onnx.load(file)
