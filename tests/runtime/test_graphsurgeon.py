"""onnx-graphsurgeon at the boundary: graphs are read, given, and changed by a user's function."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import onnx_graphsurgeon as gs
import pytest

from hydrafy.errors import ModelError
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.ir.text import text
from hydrafy.passes.surgery import Change
from hydrafy.runtime.convert import convert
from hydrafy.runtime.read import read

EXAMPLE = Path(__file__).parents[2] / "examples" / "surgery.py"
IMAGES = np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32)


def logits(program: Program) -> np.ndarray:
    (found,) = Session(program, threads=1).run({"input": IMAGES}).values()
    return found


def test_a_graph_is_a_source_like_its_file(zoo_file: Callable[..., Path]) -> None:
    file = zoo_file("resnet8")
    graph = gs.import_onnx(onnx.load(file))
    graph.name = "mine"
    program = read(graph)
    assert text(program) == text(read(file))
    assert program.manifest.source == "mine"
    assert np.array_equal(logits(program), logits(read(file)))


def test_the_graph_of_a_program_is_read_back_the_same(source: Callable[..., Program]) -> None:
    program = source("resnet8")
    graph = program.to_graphsurgeon()
    assert isinstance(graph, gs.Graph)
    assert [node.name for node in graph.nodes] == [node.name for node in program.graph]
    again = read(graph)
    assert sorted(text(again).splitlines()) == sorted(text(program).splitlines())  # weights move
    for name in program.graph.initializers:
        assert again.weight(name).tobytes() == program.weight(name).tobytes()


def test_changing_the_graph_leaves_the_program_alone(source: Callable[..., Program]) -> None:
    program = source("resnet8")
    stated, before = text(program), logits(program)
    graph = program.to_graphsurgeon()
    for tensor in graph.tensors().values():
        tensor.name = f"{tensor.name}.x"
        if isinstance(tensor, gs.Constant):
            tensor.values = np.zeros_like(tensor.values)
    gs.export_onnx(graph)
    assert text(program) == stated and np.array_equal(logits(program), before)


def with_a_scale(file: Path) -> onnx.ModelProto:
    """The network behind a node of another domain that scales bytes to 0..1."""
    model = onnx.load(file)
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == "input":
                node.input[place] = "scaled"
    scale = onnx.helper.make_node("ToFloat", ["input"], ["scaled"], "scale", domain="acme")
    model.graph.node.insert(0, scale)
    model.opset_import.append(onnx.helper.make_opsetid("acme", 1))
    model.metadata_props.add(key="author", value="me")
    return model


def drop_scale(graph: gs.Graph) -> None:
    (scale,) = (node for node in graph.nodes if node.op == "ToFloat")
    for node in list(scale.outputs[0].outputs):
        node.inputs[node.inputs.index(scale.outputs[0])] = graph.inputs[0]
    scale.outputs.clear()
    graph.cleanup()


def test_a_change_runs_before_the_conversion(zoo_file: Callable[..., Path], tmp_path: Path) -> None:
    onnx.save(with_a_scale(zoo_file("resnet8")), tmp_path / "scaled.onnx")
    with pytest.raises(ModelError, match=r"'scale' is a acme::ToFloat"):
        read(tmp_path / "scaled.onnx")
    program = read(tmp_path / "scaled.onnx", before=[drop_scale])
    assert np.array_equal(logits(program), logits(read(zoo_file("resnet8"))))
    assert program.manifest.source == "scaled.onnx" and program.manifest.source_sha256
    assert program.model.metadata_props["author"] == "me"
    first = program.manifest.journal[0]
    assert (first.by, first.notes) == ("surgery", ("drop_scale changed the network",))
    made = convert(program, "dynk", branches=3, k=1)
    assert made.stage == "dynamic" and made.manifest.source == "scaled.onnx"


def test_changes_run_in_their_order_and_may_return_a_new_graph(
    zoo_file: Callable[..., Path],
) -> None:
    seen = []

    def first(graph: gs.Graph) -> gs.Graph:
        seen.append(graph.outputs[0].name)
        copy = graph.copy()
        copy.outputs[0].name = "scores"
        return copy

    def second(graph: gs.Graph) -> None:
        seen.append(graph.outputs[0].name)

    program = read(zoo_file("resnet8"), before=[first, second])
    assert seen == ["logits", "scores"]
    assert [(o.name, o.role) for o in program.manifest.outputs] == [("scores", "prediction")]


def fail(graph: gs.Graph) -> None:
    raise KeyError(f"nothing in {graph.name!r}\nat all")


def mislead(graph: gs.Graph) -> object:
    return 5


def cut_off(graph: gs.Graph) -> None:
    graph.nodes.pop(0)


def untype(graph: gs.Graph) -> None:
    graph.outputs[0].dtype = None


def leave_nothing(graph: gs.Graph) -> None:
    graph.outputs.clear()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (fail, "the change fail failed: KeyError"),
        (mislead, "the change mislead returned a int"),
        (cut_off, "after the change cut_off: node .* reads .*, which is no input"),
        (untype, "after the change untype: onnx-graphsurgeon cannot export the graph: .*dtype"),
        (leave_nothing, "after the change leave_nothing: the model has no output"),
    ],
)
def test_a_change_that_goes_wrong_is_named(
    zoo_file: Callable[..., Path], change: Change, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        read(zoo_file("resnet8"), before=[change])


def test_a_program_that_the_library_cannot_carry_is_refused(source: Callable[..., Program]) -> None:
    made = convert(source("resnet8"), "dynk", branches=3, k=1)
    with pytest.raises(ModelError, match="is dynamic, and onnx-graphsurgeon drops the manifest"):
        made.to_graphsurgeon()


def test_the_example_takes_a_networks_preprocessing_away(
    zoo_file: Callable[..., Path], tmp_path: Path
) -> None:
    model = onnx.load(zoo_file("resnet8"))
    for node in model.graph.node:
        node.input[:] = ["normalised" if name == "input" else name for name in node.input]
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    mean = np.full((1, 3, 1, 1), 127, np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(mean, "mean"))
    nodes = [
        onnx.helper.make_node("Cast", ["input"], ["floats"], "cast", to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Sub", ["floats", "mean"], ["shifted"], "shift"),
        onnx.helper.make_node("Div", ["shifted", "mean"], ["normalised"], "scale"),
    ]
    for place, node in enumerate(nodes):
        model.graph.node.insert(place, node)
    onnx.save(model, tmp_path / "bytes.onnx")
    with pytest.raises(ModelError, match="float32 is needed"):
        read(tmp_path / "bytes.onnx")
    done = subprocess.run(
        [sys.executable, EXAMPLE, tmp_path / "bytes.onnx", tmp_path / "plain.onnx"],
        capture_output=True, text=True, check=True, cwd=EXAMPLE.parents[1],
    )  # fmt: skip
    assert done.stdout.startswith("surgery: drop_preprocessing changed the network\n")
    plain = Program.load(tmp_path / "plain.onnx")
    assert np.array_equal(logits(plain), logits(read(zoo_file("resnet8"))))
