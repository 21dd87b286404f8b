"""Source programs for the tests of passes, from ONNX text."""

from collections.abc import Mapping

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import onnx_ir as ir

from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Manifest, Output
from hydrafy.ir.program import Program


def model(text: str, *, opset: int = 18, **weights: np.ndarray) -> onnx.ModelProto:
    """A model from the text of its graph; `weights` become initializers."""
    found = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": {opset}]>\n{text}')
    found.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(a), name) for name, a in weights.items()
    )
    return found


def program(text: str, *, opset: int = 18, **weights: np.ndarray) -> Program:
    """The model as a program of stage `source`."""
    made = ir.from_proto(model(text, opset=opset, **weights))
    outputs = tuple(Output(v.name or "", "prediction") for v in made.graph.outputs)
    return Program(made, Manifest(outputs=outputs))


def weight(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal noise, float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def ops(program: Program) -> list[str]:
    """The op types of the graph, in order."""
    return [node.op_type for node in program.graph]


def compute(form: object, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """All outputs, run by onnxruntime on one thread."""
    return list(Session(form, threads=1).run(feeds).values())
