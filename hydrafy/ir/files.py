"""ONNX files: reading one whole or saying what is wrong with it, and where one may be written."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import google.protobuf.message
import onnx
import onnx_ir as ir

from hydrafy.errors import FileError, HydrafyError, ModelError, first_line
from hydrafy.ir.check import check

PROTOBUF = 2**31 - 1  # bytes that one protobuf message may have


def load_model(file: Path) -> ir.Model:
    """An ONNX file as an onnx-ir model: checked, its nodes in order, every weight in memory.

    Raises:
        FileError: no such file, not an ONNX file, a truncated one, or missing external data.
        ModelError: the graph in it is malformed; the node or value is named.
    """
    model = from_proto(_parsed(file), file)
    ir.external_data.set_base_dir(model.graph, file.parent)
    return ir.external_data.load_to_model(model)


def from_proto(proto: onnx.ModelProto, file: Path | None = None) -> ir.Model:
    """An ONNX model as an onnx-ir model, checked, its nodes in order.

    Args:
        proto: the model, of which the result is a view; the graph that initialises its training
            is left out.
        file: where it comes from, if from a file, next to which it may have weights.

    Raises:
        FileError: a weight is missing, as a whole or in part.
        ModelError: the graph is malformed; the node or value is named.
    """
    proto.ClearField("training_info")
    folder = None if file is None else file.parent
    try:
        check(proto, folder)
        model = ir.from_proto(proto)
    except HydrafyError as error:
        raise error if file is None else type(error)(f"{file}: {error}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        named = "the model" if file is None else file
        raise ModelError(f"{named} cannot be read as ONNX: {first_line(error)}") from error
    model.graph.sort()
    return model


def _parsed(file: Path) -> onnx.ModelProto:
    """What an ONNX file holds, unchecked."""
    if not file.exists():
        raise FileError(f"there is no file {file}")
    if file.is_dir():
        raise FileError(f"{file} is a folder: name the ONNX file in it")
    if not file.is_file():
        raise FileError(f"{file} is no regular file: copy what it gives to one first")
    if file.stat().st_size > PROTOBUF:
        raise FileError(f"{file} is over 2 GiB, so it is no ONNX file: weights go next to it")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(file.read_bytes())
    except google.protobuf.message.DecodeError as error:
        if "MaxDepth" in str(error):
            raise FileError(f"{file} nests graphs within graphs too deep for protobuf") from error
        raise FileError(f"{file} is not an ONNX file, or it is truncated") from error
    except OSError as error:
        raise FileError(f"{file} cannot be read: {error.strerror or error}") from error
    if not model.graph.node and not model.graph.output:
        raise FileError(f"{file} is not an ONNX file, or it is empty: it has no graph")
    return model


def check_target(
    target: Path, *, force: bool, source: Path | None = None, option: str = "-o"
) -> None:
    """Refuses an output path that exists or cannot be written, before any work is done.

    Args:
        target: the path.
        force: whether what is there is overwritten.
        source: the file that it is made from, whose place it does not take even then.
        option: that names it.

    Raises:
        FileError: with what to do.
    """
    if target.is_dir():
        raise FileError(f"{target} is a folder: name the file to write")
    if source is not None and target.exists() and source.exists() and target.samefile(source):
        raise FileError(f"{target} is the input itself: name another output with {option}")
    if target.exists() and not force:
        raise FileError(f"{target} exists: name another output with {option}, or add --force")
    folder = target.parent
    if not folder.is_dir():
        raise FileError(f"there is no folder {folder} to write {target.name} to")
    if not os.access(folder, os.W_OK):
        raise FileError(f"folder {folder} is not writable")


def write(content: bytes, target: Path) -> None:
    """Writes a file beside its target, and then renames it.

    Raises:
        FileError: it cannot be written.
    """
    with beside(target) as place:
        place.write_bytes(content)


@contextlib.contextmanager
def beside(target: Path) -> Iterator[Path]:
    """A place to write a file at, from which it is renamed to its target once it is whole.

    Raises:
        FileError: it cannot be written; what was there before stays.
    """
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".hydrafy-") as folder:
            place = Path(folder) / target.name
            yield place
            with place.open("rb") as written:
                os.fsync(written.fileno())
            os.replace(place, target)
    except OSError as error:
        raise FileError(f"cannot write {target}: {error.strerror or error}") from error


def write_model(model: ir.Model, file: Path) -> None:
    """Writes a model as one ONNX file, the weights of its main graph one by one.

    Protobuf's own way holds three copies of all of them: for ResNet-50 with 20 branches that is
    over a gigabyte, and takes five times as long.
    """
    skeleton = model.clone()
    weights: dict[str, ir.TensorProtocol] = {}
    for name, value in model.graph.initializers.items():
        tensor = value.const_value
        if tensor is not None and tensor.dtype != ir.DataType.STRING:
            weights[name] = tensor
            del skeleton.graph.initializers[name]
    proto = ir.to_proto(skeleton)
    graph = proto.graph.SerializeToString()
    proto.ClearField("graph")
    heads = {name: _head(name, tensor) for name, tensor in weights.items()}
    size = len(graph) + sum(len(heads[name]) + tensor.nbytes for name, tensor in weights.items())
    with file.open("wb") as stream:
        stream.write(proto.SerializeToString())
        stream.write(_field(onnx.ModelProto.GRAPH_FIELD_NUMBER, size) + graph)
        for name, tensor in weights.items():
            stream.write(heads[name])
            stream.write(tensor.tobytes())


def _head(name: str, tensor: ir.TensorProtocol) -> bytes:
    """What comes before the data of a graph's initializer."""
    proto = onnx.TensorProto(
        name=name, dims=tensor.shape.numpy(), data_type=tensor.dtype, doc_string=tensor.doc_string
    )
    data = _field(onnx.TensorProto.RAW_DATA_FIELD_NUMBER, tensor.nbytes)
    described: bytes = proto.SerializeToString() + data
    size = len(described) + tensor.nbytes
    return _field(onnx.GraphProto.INITIALIZER_FIELD_NUMBER, size) + described


def _field(number: int, size: int) -> bytes:
    """The start of a protobuf field of `size` bytes: its tag, and the size as a varint."""
    digits = [number << 3 | 2]
    while size > 127:
        digits.append(size & 127 | 128)
        size >>= 7
    return bytes([*digits, size])


def sha256(file: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
