"""Reading a network that the user has into a static program."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Union

import google.protobuf.message
import onnx
import onnx_ir as ir

from hydrafy.errors import ModelError, first_line
from hydrafy.ir import surgeon
from hydrafy.ir.files import from_proto, load_model, sha256
from hydrafy.ir.manifest import KEY, Manifest, Output
from hydrafy.ir.program import Program
from hydrafy.ir.verify import faults
from hydrafy.passes import base, normalise
from hydrafy.passes.surgery import Change, Surgery

if TYPE_CHECKING:
    import onnx_graphsurgeon

Source = Union[str, os.PathLike[str], onnx.ModelProto, ir.Model, "onnx_graphsurgeon.Graph", Program]


def read(source: Source, *, before: Iterable[Change] = ()) -> Program:
    """Reads a static network and brings it to the one form that recipes understand.

    Args:
        source: an ONNX file, an ONNX model, an onnx-ir model, or a graph of onnx-graphsurgeon; a
            static program is copied.
        before: your own changes to the network, which come first, in this order: functions of a
            graph of onnx-graphsurgeon, which change it in place or return another.

    Raises:
        FileError: the file is missing, truncated or not ONNX.
        ModelError: the network is malformed, dynamic already, or cannot be understood; it says
            which node. Or a change failed.
    """
    program = _open(source)
    if program.stage not in ("source", "static"):
        raise ModelError(
            f"the network is {program.stage} already (recipe {program.manifest.recipe}): "
            "start from its static source"
        )
    for fault in faults(program):
        raise ModelError(f"the network is malformed: {fault}")
    return base.run(program, [*map(Surgery, before), *normalise.pipeline()])


def loaded(file: Path) -> Program:
    """A file that hydrafy wrote, as it is; a plain ONNX file, read.

    Raises:
        FileError: the file is missing, truncated or not ONNX.
        ModelError: the network is malformed, or cannot be understood.
    """
    program = Program.load(file)
    return read(file) if program.stage == "source" else program


def _open(source: Source) -> Program:
    if isinstance(source, Program):
        return source.clone()
    if isinstance(source, str | os.PathLike):
        file = Path(source)
        model, origin, digest = load_model(file), file.name, sha256(file)
    else:
        model = from_proto(_copied(source))
        origin, digest = model.graph.name or "", ""
    text = model.metadata_props.get(KEY)
    if text is not None:
        return Program(model, Manifest.from_json(text))
    outputs = tuple(Output(v.name or "", "prediction") for v in model.graph.outputs)
    return Program(model, Manifest(source=origin, source_sha256=digest, outputs=outputs))


def _copied(source: onnx.ModelProto | ir.Model | onnx_graphsurgeon.Graph) -> onnx.ModelProto:
    """The caller's model, copied: a tensor of onnx-ir is a view of its proto, and passes rename."""
    if surgeon.is_graph(source):
        return surgeon.from_graph(source)
    if isinstance(source, ir.Model):
        return _serialised(source)
    copied = onnx.ModelProto()
    try:
        copied.CopyFrom(source)
    except (google.protobuf.message.Error, ValueError) as error:
        raise ModelError(
            f"the model cannot be copied: {first_line(error)}; save it, and give the file"
        ) from error
    return copied


def _serialised(source: ir.Model) -> onnx.ModelProto:
    """An onnx-ir model as an ONNX model that holds all of its weights."""
    try:
        whole = ir.external_data.load_to_model(source.clone())
        return ir.to_proto(whole)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        raise ModelError(f"the onnx-ir model cannot be written: {first_line(error)}") from error
