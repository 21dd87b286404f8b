"""A program survives its file; files that are no programs are refused in one sentence."""

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from hydrafy.errors import FileError, ModelError
from hydrafy.execute.session import Session
from hydrafy.ir import ops, program
from hydrafy.ir.files import check_target
from hydrafy.ir.manifest import Entry, Manifest
from hydrafy.ir.program import Program
from hydrafy.ir.text import text
from hydrafy.ir.values import constant, dims
from tests.train.programs import Sketch, dynamic


def tiny() -> Program:
    s = Sketch(("N", 2, 3, 3))
    return s.program(s.op("Relu", [s.conv(s.x, "conv", 2, 1)], "y"))


@pytest.mark.parametrize("made", [dynamic(k=2), tiny()], ids=["dynamic", "static"])
def test_what_is_saved_is_loaded(made: Program, tmp_path: Path) -> None:
    before = text(made)
    file = made.save(tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == [file]  # nothing temporary is left
    found = Program.load(file)
    assert found.manifest == made.manifest
    assert text(found) == before
    assert list(found.graph.initializers) == list(made.graph.initializers)
    for name in made.graph.initializers:
        assert found.weight(name).tobytes() == made.weight(name).tobytes()
        assert found.weight(name).dtype == made.weight(name).dtype


@pytest.mark.parametrize("made", [dynamic(k=2), tiny()], ids=["dynamic", "static"])
def test_a_file_says_what_protobuf_would_write(made: Program, tmp_path: Path) -> None:
    found, wanted = onnx.load(made.save(tmp_path / "x.onnx")), made.to_onnx()
    for value in [v for v in wanted.graph.value_info if v.name in made.graph.initializers]:
        wanted.graph.value_info.remove(value)  # an initializer knows its own shape
    assert found == wanted


def test_large_weights_lie_next_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = dynamic()
    monkeypatch.setattr(program, "LARGE", 100)
    file = made.save(tmp_path / "x.onnx")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.onnx", "x.onnx.data"]
    found = Program.load(file)
    (tmp_path / "x.onnx.data").unlink()  # all weights are in memory by now
    for name in made.graph.initializers:
        assert found.weight(name).tobytes() == made.weight(name).tobytes()
    with pytest.raises(FileError, match=r"'x\.onnx\.data', which is missing"):
        Program.load(file)


def test_a_saved_program_runs_without_hydrafy(tmp_path: Path) -> None:
    made = dynamic(k=2)
    x = np.random.default_rng(0).standard_normal((3, 3, 8, 8)).astype(np.float32)
    (wanted,) = Session(made).run({"x": x}, ["head.fc"]).values()
    (found,) = Session(made.save(tmp_path / "x.onnx")).run({"x": x}, ["head.fc"]).values()
    np.testing.assert_array_equal(found, wanted)
    onnx.checker.check_model(onnx.load(tmp_path / "x.onnx"), full_check=True)


def test_a_file_is_not_overwritten_without_force(tmp_path: Path) -> None:
    file = tmp_path / "x.onnx"
    file.write_text("precious")
    with pytest.raises(FileError, match=r"exists.*--force"):
        tiny().save(file)
    assert file.read_text() == "precious"
    tiny().save(file, force=True)
    assert text(Program.load(file)) == text(tiny())


def test_a_file_of_weights_is_not_overwritten_without_force(tmp_path: Path) -> None:
    data = tmp_path / "x.onnx.data"
    data.write_text("precious")
    with pytest.raises(FileError, match=r"x\.onnx\.data exists.*--force"):
        tiny().save(tmp_path / "x.onnx", inline=1)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["precious"]
    tiny().save(tmp_path / "x.onnx", inline=1, force=True)
    assert text(Program.load(tmp_path / "x.onnx")) == text(tiny())


def test_functions_of_others_are_kept(tmp_path: Path) -> None:
    model = tiny().to_onnx()
    model.ClearField("metadata_props")  # of no stage: hydrafy never writes such a static program
    body = [helper.make_node("Relu", ["x"], ["y"])]
    opsets = [helper.make_opsetid("", ops.OPSET)]
    model.functions.append(helper.make_function("acme", "MyRelu", ["x"], ["y"], body, opsets))
    model.opset_import.append(helper.make_opsetid("acme", 1))
    (relu,) = (n for n in model.graph.node if n.op_type == "Relu")
    relu.op_type, relu.domain = "MyRelu", "acme"
    onnx.save(model, tmp_path / "x.onnx")
    saved = onnx.load(Program.load(tmp_path / "x.onnx").save(tmp_path / "again.onnx"))
    onnx.checker.check_model(saved, full_check=True)
    assert [(f.domain, f.name) for f in saved.functions] == [("acme", "MyRelu")]
    x = np.random.default_rng(0).standard_normal((2, 2, 3, 3)).astype(np.float32)
    wanted, found = (Session(p).run({"x": x})["y"] for p in (tiny(), tmp_path / "again.onnx"))
    np.testing.assert_array_equal(found, wanted)


def test_a_file_that_does_not_fit_its_manifest_is_refused(tmp_path: Path) -> None:
    model = dynamic().to_onnx()
    model.graph.output[-1].name = model.graph.node[0].output[0]
    onnx.save(model, tmp_path / "x.onnx")
    with pytest.raises(
        ModelError, match=r"x\.onnx is malformed, or was changed by .*manifest lists"
    ):
        Program.load(tmp_path / "x.onnx")


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(model: ir.Model, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(program, "write_model", full_disk)
    with pytest.raises(FileError, match=r"cannot write .*new\.onnx: No space left"):
        tiny().save(tmp_path / "new.onnx")
    assert list(tmp_path.iterdir()) == []
    old = tmp_path / "old.onnx"
    old.write_text("precious")
    with pytest.raises(FileError, match="No space left"):
        tiny().save(old, force=True)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["precious"]


def test_a_reader_of_the_old_file_is_not_disturbed(tmp_path: Path) -> None:
    """The new file takes the old one's name; it is not written into it."""
    file = tmp_path / "x.onnx"
    file.write_text("precious")
    with file.open() as reader:
        tiny().save(file, force=True)
        assert reader.read() == "precious"


def test_targets_that_cannot_be_written_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="is a folder"):
        check_target(tmp_path, force=True)
    with pytest.raises(FileError, match="there is no folder"):
        check_target(tmp_path / "missing" / "x.onnx", force=True)
    check_target(tmp_path / "x.onnx", force=False)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no file"):
        Program.load(tmp_path / "missing.onnx")
    with pytest.raises(FileError, match="is a folder"):
        Program.load(tmp_path)
    garbage = [b"", b"\n", b"not a model", bytes(range(256)) * 20, b"\x89PNG\r\n\x1a\n" + bytes(99)]
    for number, content in enumerate([*garbage, onnx.ModelProto(ir_version=8).SerializeToString()]):
        file = tmp_path / f"{number}.onnx"
        file.write_bytes(content)
        with pytest.raises(FileError, match=rf"{number}\.onnx"):
            Program.load(file)


@pytest.mark.parametrize("made", [dynamic(), tiny()], ids=["dynamic", "static"])
def test_a_truncated_file_is_refused_wherever_it_was_cut(made: Program, tmp_path: Path) -> None:
    """Behind the graph a cut between two fields leaves a whole, if poorer, model."""
    whole = made.to_onnx()
    content, graph = whole.SerializeToString(), whole.graph.SerializeToString()
    graph_end = content.index(graph) + len(graph)
    file = tmp_path / "cut.onnx"
    cuts = {*range(300), *range(len(content) - 300, len(content)), *range(0, len(content), 97)}
    for cut in sorted(c for c in cuts if 0 <= c < len(content)):
        file.write_bytes(content[:cut])
        try:
            found = Program.load(file)
        except FileError as error:
            assert "cut.onnx" in str(error)
        else:
            assert cut >= graph_end
            assert len(found.graph) == len(made.graph)


@pytest.mark.parametrize("size", [0, 7])
def test_external_weights_that_are_too_short_are_refused(size: int, tmp_path: Path) -> None:
    file = tmp_path / "x.onnx"
    onnx.save(
        tiny().to_onnx(), file, save_as_external_data=True, location="x.data", size_threshold=0
    )
    assert (
        Program.load(file).weight("conv.weight").tobytes() == tiny().weight("conv.weight").tobytes()
    )
    (tmp_path / "x.data").write_bytes((tmp_path / "x.data").read_bytes()[:size])
    with pytest.raises(FileError, match=r"x\.data is too short for weight 'conv\.weight'"):
        Program.load(file)


def test_a_weight_without_data_is_refused(tmp_path: Path) -> None:
    model = tiny().to_onnx()
    for tensor in model.graph.initializer:
        if tensor.name == "conv.weight":
            tensor.raw_data = tensor.raw_data[:-1]
    onnx.save(model, tmp_path / "x.onnx")
    with pytest.raises(FileError, match=r"conv\.weight"):
        Program.load(tmp_path / "x.onnx")


def test_a_plain_file_is_a_source_with_its_hash(tmp_path: Path) -> None:
    model = tiny().to_onnx()
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "x.onnx")
    found = Program.load(tmp_path / "x.onnx").manifest
    assert (found.stage, found.source) == ("source", "x.onnx")
    assert found.source_sha256 == program.sha256(tmp_path / "x.onnx")
    assert len(found.source_sha256) == 64


def test_a_clone_is_independent() -> None:
    made = dynamic()
    before = text(made)
    twin = made.clone()
    twin.set_weight("stem.conv.weight", np.zeros((8, 3, 3, 3), np.float32))
    twin.graph.remove(next(n for n in twin.graph if not n.outputs[0].uses()), safe=False)
    twin.manifest = Manifest(journal=(Entry("a", ()),))
    assert text(made) == before
    assert made.weight("stem.conv.weight").any()


def test_a_file_defines_exactly_the_ops_that_it_calls() -> None:
    model = dynamic().to_onnx()
    assert sorted(f.name for f in model.functions) == ["Select", "TopKGate"]
    assert {o.domain: o.version for o in model.opset_import} == {"": ops.OPSET, "hydrafy": 1}
    model = tiny().to_onnx()
    assert not model.functions
    assert [o.domain for o in model.opset_import] == [""]


def test_what_can_be_overridden_is_no_constant() -> None:
    made = dynamic()
    assert [v.name for v in made.data_inputs] == ["x"]
    assert constant(made.graph.initializers["tau"]) is None
    kernel = constant(made.graph.initializers["stem.conv.weight"])
    assert kernel is not None and kernel.shape == (8, 3, 3, 3)
    assert dims(made.data_inputs[0]) == (3, 8, 8)
    assert made.weight_bytes() == sum(made.weight(n).nbytes for n in made.graph.initializers)


def conditional() -> onnx.ModelProto:
    """An If, one branch of which owns a weight."""
    weight = numpy_helper.from_array(np.ones(4, np.float32), "inner.weight")
    value = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [4])
    then = helper.make_graph(
        [helper.make_node("Identity", ["inner.weight"], ["a"])],
        "then",
        [],
        [helper.make_tensor_value_info("a", onnx.TensorProto.FLOAT, [4])],
        [weight],
    )
    other = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["b"])],
        "else",
        [],
        [helper.make_tensor_value_info("b", onnx.TensorProto.FLOAT, [4])],
    )
    node = helper.make_node("If", ["p"], ["y"], then_branch=then, else_branch=other)
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [4])
    p = helper.make_tensor_value_info("p", onnx.TensorProto.BOOL, [])
    return helper.make_model(helper.make_graph([node], "g", [x, p], [value]), ir_version=9)


def test_a_weight_without_data_inside_of_a_region_is_refused(tmp_path: Path) -> None:
    model, file = conditional(), tmp_path / "x.onnx"
    onnx.save(model, file)
    assert Program.load(file).weight_bytes() == 16
    inner = model.graph.node[0].attribute
    (weight,) = (t for attribute in inner for t in attribute.g.initializer)
    weight.raw_data = weight.raw_data[:-1]
    onnx.save(model, file)
    with pytest.raises(FileError, match=r"inner\.weight"):
        Program.load(file)
