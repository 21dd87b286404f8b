"""Bad input ends in one sentence on stderr, exit code 2, and no file left behind."""

from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from hydrafy.cli import main
from hydrafy.cli.app import Verbs
from hydrafy.errors import VerifyError
from tests.cli.conftest import Invoke

Road = dict[str, Path]


def refusal(hydrafy: Invoke, folder: Path, *words: object) -> str:
    """The sentence that a call is refused with."""
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    done = hydrafy(*words)
    assert done.exit_code == 2, (done.stdout, done.stderr, done.exception)
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    return line.removeprefix("Error: ")


def network(*middle: onnx.NodeProto) -> onnx.ModelProto:
    """Input x, some nodes from `x` to `y` of 4 channels, pooling, a classifier of 30 classes."""
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.standard_normal((4, 3, 3, 3)), "v": rng.standard_normal((4, 4, 3, 3)),
        "fc": rng.standard_normal((30, 3 if middle[-1].op_type == "Identity" else 4)),
    }  # fmt: skip
    nodes = [
        *middle,
        helper.make_node("GlobalAveragePool", ["y"], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "fc"], ["logits"], "classifier", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 30])],
        [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("acme", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def conv(source: str, target: str, weight: str = "v") -> onnx.NodeProto:
    return helper.make_node("Conv", [source, weight], [target], target, pads=[1, 1, 1, 1])


def no_convolution(file: Path) -> None:
    onnx.save(network(helper.make_node("Identity", ["x"], ["y"], "same")), file)


def no_residual_stage(file: Path) -> None:
    onnx.save(network(conv("x", "a", "w"), helper.make_node("Relu", ["a"], ["y"], "relu")), file)


def unknown_op(file: Path) -> None:
    nodes = [conv("x", "a", "w"), helper.make_node("Twist", ["a"], ["b"], "twisted", domain="acme")]
    onnx.save(network(*nodes, conv("b", "c"), helper.make_node("Add", ["a", "c"], ["y"])), file)


def unsupported_op(file: Path) -> None:
    nodes = [conv("x", "a", "w"), helper.make_node("Hardmax", ["a"], ["b"], "odd")]
    onnx.save(network(*nodes, conv("b", "c"), helper.make_node("Add", ["a", "c"], ["y"])), file)


def not_onnx(file: Path) -> None:
    file.write_text("Dear reader, this is a letter.\n" * 50)


def empty(file: Path) -> None:
    file.touch()


def truncated(file: Path) -> None:
    whole = network(conv("x", "a", "w"), conv("a", "b"), helper.make_node("Add", ["a", "b"], ["y"]))
    content = whole.SerializeToString()
    file.write_bytes(content[: len(content) // 2])


def missing_data(file: Path) -> None:
    whole = network(conv("x", "a", "w"), conv("a", "b"), helper.make_node("Add", ["a", "b"], ["y"]))
    onnx.save(whole, file, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (file.parent / "weights.bin").unlink()


def cyclic(file: Path) -> None:
    onnx.save(network(conv("x", "a", "w"), conv("b", "c"), conv("c", "b"), conv("b", "y")), file)


def huge(file: Path) -> None:
    """A few bytes that ask for 32 TB."""
    model = network(conv("x", "a", "w"), helper.make_node("Add", ["a", "big"], ["y"], "add"))
    size = numpy_helper.from_array(np.array([4, 2**20, 2**21]), "size")
    model.graph.initializer.append(size)
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["size"], ["big"], "fill"))
    onnx.save(model, file)


def elsewhere(file: Path) -> None:
    model = network(conv("x", "y", "w"))
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="/etc/passwd")
    onnx.save(model, file)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (cyclic, ["cycle", "'b'"]),
        (huge, ["fill", "ConstantOfShape"]),
        (elsewhere, ["'/etc/passwd'", "outside"]),
        (not_onnx, ["not an ONNX file"]),
        (empty, ["not an ONNX file"]),
        (truncated, ["truncated"]),
        (no_convolution, ["no convolution"]),
        (no_residual_stage, ["no residual stage"]),
        (unknown_op, ["twisted", "Twist"]),
        (unsupported_op, ["odd", "Hardmax"]),
        (missing_data, ["weights.bin", "missing"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_network_that_cannot_be_converted(
    hydrafy: Invoke, tmp_path: Path, make: Callable[[Path], None], words: list[str]
) -> None:
    make(tmp_path / "net.onnx")
    said = refusal(hydrafy, tmp_path, "convert", tmp_path / "net.onnx", "--recipe", "dynk")
    assert all(word in said for word in words), said


def test_fewer_classes_than_branches(hydrafy: Invoke, tmp_path: Path, road: Road) -> None:
    words = ("convert", road["static"], "--recipe", "dynk", "-o", tmp_path / "o.onnx")
    said = refusal(hydrafy, tmp_path, *words)
    assert "10 classes" in said
    assert "20 branches" in said


@pytest.mark.parametrize("label", [10, -1])
def test_labels_outside_of_the_classes(
    hydrafy: Invoke, tmp_path: Path, road: Road, label: int
) -> None:
    data = tmp_path / "data.npz"
    np.savez(data, x=np.zeros((4, 1, 16, 16), np.uint8), y=np.array([0, 1, 2, label]))
    words = ("finetune", road["dynamic"], "--data", data, "-o", tmp_path / "o.onnx")
    said = refusal(hydrafy, tmp_path, *words)
    assert str(label) in said
    assert "10 classes" in said


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (["convrt"], "convert"),
        (["convert", "STATIC", "--recipe", "dynq"], "dynk"),
        (["convert", "STATIC", "--recipe", "dynk", "--set", "branch=3"], "branches"),
        (["convert", "STATIC", "--recipe", "dynk", "--forse"], "--force"),
        (["recipes", "dinky"], "dynk"),
        (["run", "DYNAMIC", "IMAGE", "--set", "taw=0"], "tau"),
        (["zoo", "resnet20", "--set", "clases=3"], "classes"),
        (["zoo", "resnet21"], "resnet20"),
        (["finetune", "DYNAMIC", "--data", "digits", "--augment", "corp"], "crop"),
    ],
)
def test_the_nearest_right_word_is_named(
    hydrafy: Invoke,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    road: Road,
    words: list[str],
    right: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = [str(road[w.lower()]) if w.isupper() else w for w in words]
    assert right in refusal(hydrafy, road["static"].parent, *wanted)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ["convert", "STATIC", "--recipe", "dynk", "--set", "k"],
        ["convert", "STATIC", "--recipe", "dynk", "--set", "k=many"],
        ["convert", "STATIC", "--recipe", "dynk", "--config", "nothing.toml"],
        ["convert", "STATIC", "--recipe", "dynk", "--set", "branches=5", "--set", "split=stage9"],
        ["convert", "nothing.onnx", "--recipe", "dynk"],
        ["convert", "STATIC"],
        ["convert", "DYNAMIC", "--recipe", "dynk"],
        ["finetune", "DYNAMIC", "--data", "nothing.npz"],
        ["finetune", "DYNAMIC", "--data", "digits", "--epochs", "0"],
        ["finetune", "DYNAMIC", "--data", "digits", "--mean", "1,2"],
        ["finetune", "DYNAMIC", "--data", "digits", "--distill-weight", "2"],
        ["finetune", "LOWERED", "--data", "digits"],
        ["lower", "STATIC"],
        ["lower", "LOWERED"],
        ["lower", "nothing.onnx"],
        ["run", "DYNAMIC"],
        ["run", "DYNAMIC", "nothing.png"],
        ["run", "DYNAMIC", "STATIC"],
        ["run", "DYNAMIC", "IMAGE", "--set", "tau=2"],
        ["run", "DYNAMIC", "IMAGE", "--mean", "0.1,x"],
        ["inspect", "nothing.onnx"],
        ["explain", "IMAGE"],
        ["convert", ".", "--recipe", "dynk"],
        ["finetune", ".", "--data", "digits"],
        ["lower", "."],
        ["finetune", "DYNAMIC", "--data", "digits", "--seed", "-1"],
        ["finetune", "DYNAMIC", "--data", "digits", "--seed", "99999999999999999999"],
        ["finetune", "DYNAMIC", "--data", "digits", "--batch-size", "1"],
        ["zoo", "resnet8", "--seed", "99999999999999999999"],
        ["zoo", "resnet8", "--set", "width=0"],
        ["zoo", "resnet8", "--exporter", "telex"],
    ],
    ids=" ".join,
)
def test_other_bad_input(hydrafy: Invoke, road: Road, words: list[str]) -> None:
    wanted = [str(road[w.lower()]) if w.isupper() else w for w in words]
    refusal(hydrafy, road["static"].parent, *wanted)


def test_a_config_file_that_is_not_toml(hydrafy: Invoke, tmp_path: Path, road: Road) -> None:
    config = tmp_path / "c.toml"
    for content in (b"k = ", b"\xff\xfe", b"dynk = 3"):
        config.write_bytes(content)
        words = ("convert", road["static"], "--recipe", "dynk", "--config", config)
        assert "c.toml" in refusal(hydrafy, tmp_path, *words, "-o", tmp_path / "o.onnx")


@pytest.mark.parametrize(
    "words",
    [
        ["convert", "STATIC", "--recipe", "dynk", "--set", "branches=5"],
        ["finetune", "DYNAMIC", "--data", "digits"],
        ["lower", "DYNAMIC"],
        ["zoo", "resnet8"],
        ["demo"],
    ],
    ids=lambda words: words[0],
)
def test_an_existing_output_is_refused_before_any_work(
    hydrafy: Invoke, tmp_path: Path, road: Road, words: list[str]
) -> None:
    target = tmp_path / "taken.onnx"
    target.write_text("mine")
    wanted = [str(road[w.lower()]) if w.isupper() else w for w in words]
    assert "exists" in refusal(hydrafy, tmp_path, *wanted, "-o", target)
    assert target.read_text() == "mine"


def raising(error: BaseException) -> click.Group:
    group = Verbs("hydrafy")

    @group.command()
    def fail() -> None:
        raise error

    return group


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (VerifyError("after x: two\nlines"), 1, "Error: after x: two lines\n"),
        (KeyboardInterrupt(), 130, "Error: stopped by Ctrl-C, nothing was written\n"),
        (ZeroDivisionError("oh"), 1, "internal error, ZeroDivisionError: oh (put --debug"),
        (PermissionError(13, "Permission denied", "/x"), 2, "Error: /x: Permission denied\n"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_kind_of_error_has_its_exit_code(
    error: BaseException, code: int, sentence: str
) -> None:
    done = CliRunner().invoke(raising(error), ["fail"])
    assert done.exit_code == code
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("hydrafy.recipes.find", broken)
    with pytest.raises(ZeroDivisionError):
        CliRunner().invoke(main, ["--debug", "recipes", "dynk"], catch_exceptions=False)
    assert CliRunner().invoke(main, ["recipes", "dynk"]).exit_code == 1


def test_not_even_force_overwrites_the_input(
    hydrafy: Invoke, road: dict[str, Path], tmp_path: Path
) -> None:
    file = tmp_path / "own.onnx"
    file.write_bytes(road["dynamic"].read_bytes())
    before = file.read_bytes()
    words = ("lower", file, "-o", file, "--force")
    assert "is the input itself" in refusal(hydrafy, tmp_path, *words)
    assert file.read_bytes() == before
