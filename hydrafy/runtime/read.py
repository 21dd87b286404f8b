"""Reading a network that the user has into a static program."""

import os
from pathlib import Path

import onnx
import onnx_ir as ir

from hydrafy.errors import ModelError
from hydrafy.ir.files import load_model, sha256
from hydrafy.ir.manifest import KEY, Manifest, Output
from hydrafy.ir.program import Program
from hydrafy.passes import base, normalise

Source = str | os.PathLike[str] | onnx.ModelProto | ir.Model | Program


def read(source: Source) -> Program:
    """Reads a static network and brings it to the one form that recipes understand.

    Args:
        source: an ONNX file, an ONNX model, or an onnx-ir model; a static program is copied.

    Raises:
        FileError: the file is missing, truncated or not ONNX.
        ModelError: the network is dynamic already, or cannot be understood; it says which node.
    """
    program = _open(source)
    if program.stage not in ("source", "static"):
        raise ModelError(
            f"the network is {program.stage} already (recipe {program.manifest.recipe}): "
            "start from its static source"
        )
    return base.run(program, normalise.pipeline())


def _open(source: Source) -> Program:
    if isinstance(source, Program):
        return source.clone()
    if isinstance(source, str | os.PathLike):
        file = Path(source)
        model, origin, digest = load_model(file), file.name, sha256(file)
    else:
        model = ir.from_proto(_copied(source))
        origin, digest = model.graph.name or "", ""
    text = model.metadata_props.get(KEY)
    if text is not None:
        return Program(model, Manifest.from_json(text))
    outputs = tuple(Output(v.name or "", "prediction") for v in model.graph.outputs)
    return Program(model, Manifest(source=origin, source_sha256=digest, outputs=outputs))


def _copied(source: onnx.ModelProto | ir.Model) -> onnx.ModelProto:
    """The caller's model, copied: a tensor of onnx-ir is a view of its proto, and passes rename."""
    if isinstance(source, ir.Model):
        return ir.to_proto(source)
    copied = onnx.ModelProto()
    copied.CopyFrom(source)
    return copied
