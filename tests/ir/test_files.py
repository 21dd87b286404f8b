"""A file becomes a whole model, or a sentence that names the file and what is wrong with it."""

import os
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import TensorProto, numpy_helper

from hydrafy.errors import FileError, ModelError
from hydrafy.ir import files
from hydrafy.ir.files import load_model

NETWORK = """
<ir_version: 9, opset_import: ["": 18]>
net (float[N, 4] x) => (float[N, 4] y) {
  [late] y = Relu (a)
  [early] a = Add (x, w)
}"""


def saved(folder: Path, model: onnx.ModelProto | None = None) -> Path:
    file = folder / "net.onnx"
    file.write_bytes((model or network()).SerializeToString())
    return file


def network() -> onnx.ModelProto:
    model = onnx.parser.parse_model(NETWORK)
    model.graph.initializer.append(numpy_helper.from_array(np.arange(4, dtype=np.float32), "w"))
    return model


def test_nodes_are_brought_in_order_and_training_is_left_out(tmp_path: Path) -> None:
    model = network()
    model.training_info.add().algorithm.CopyFrom(model.graph)
    found = load_model(saved(tmp_path, model))
    assert [node.name for node in found.graph] == ["early", "late"]
    array = found.graph.initializers["w"].const_value
    assert array is not None and array.numpy().tolist() == [0, 1, 2, 3]


def test_weights_from_other_files_are_in_memory(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    onnx.save(network(), file, save_as_external_data=True, location="w.bin", size_threshold=0)
    found = load_model(file)
    (tmp_path / "w.bin").unlink()
    array = found.graph.initializers["w"].const_value
    assert array is not None and array.numpy().tolist() == [0, 1, 2, 3]


def test_a_weight_outside_of_the_folder_is_never_opened(tmp_path: Path) -> None:
    """A named pipe would block whoever opens it."""
    inside = tmp_path / "model"
    inside.mkdir()
    os.mkfifo(tmp_path / "pipe")
    model = network()
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../pipe")
    file = saved(inside, model)
    with pytest.raises(FileError, match=r"net\.onnx: weight 'w' lies in '\.\./pipe', outside"):
        load_model(file)


def test_what_is_no_regular_file_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(FileError, match=r"pipe\.onnx is no regular file"):
        load_model(tmp_path / "pipe.onnx")
    with pytest.raises(FileError, match="/dev/zero is no regular file"):
        load_model(Path("/dev/zero"))


def test_a_file_over_protobufs_limit_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "net.onnx").open("wb") as stream:
        stream.truncate(files.PROTOBUF + 1)  # a hole, of no size on the disk
    with pytest.raises(FileError, match="over 2 GiB"):
        load_model(tmp_path / "net.onnx")


@pytest.mark.parametrize("levels", [20, 60, 5000])
def test_deep_nesting_is_refused(levels: int, tmp_path: Path) -> None:
    """Written by hand: protobuf does not serialise what it could not read."""
    content = b""
    for number in [6, 5, 1] * levels:  # a graph in an attribute in a node in a graph
        size = bytes(_varint(len(content)))
        content = bytes([number << 3 | 2]) + size + content
    (tmp_path / "net.onnx").write_bytes(b"\x08\x09\x3a" + bytes(_varint(len(content))) + content)
    with pytest.raises((FileError, ModelError), match=r"net\.onnx.*(no output|too deep)"):
        load_model(tmp_path / "net.onnx")


def _varint(size: int) -> list[int]:
    return [size] if size < 128 else [size & 127 | 128, *_varint(size >> 7)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    file = saved(tmp_path)
    file.chmod(0)
    with pytest.raises(FileError, match=r"net\.onnx cannot be read: Permission denied"):
        load_model(file)


def test_the_file_and_the_fault_are_named(tmp_path: Path) -> None:
    model = network()
    del model.graph.initializer[:]
    with pytest.raises(ModelError, match=r"net\.onnx: node 'early' \(Add\) reads 'w'"):
        load_model(saved(tmp_path, model))
