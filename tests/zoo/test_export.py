"""Every form that export writes computes what the torch module computes, in onnxruntime."""

import importlib
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from hydrafy import zoo
from hydrafy.errors import FileError, ModelError, OptionError
from hydrafy.zoo.export import Exporter

MODES: list[tuple[Exporter, bool]] = [
    ("torchscript", False),
    ("torchscript", True),
    ("dynamo", False),
    ("dynamo", True),
]


def small(shortcut: str = "A") -> nn.Module:
    return zoo.build("resnet8", 1, width=4, size=16, classes=5, shortcut=shortcut)


def assert_equal(module: nn.Module, file: Path, shape: tuple[int, ...]) -> None:
    session = onnxruntime.InferenceSession(str(file))
    assert [i.name for i in session.get_inputs()] == ["input"]
    x = torch.from_numpy(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    with torch.no_grad():
        expected = module(x).numpy()
    (found,) = session.run(["logits"], {"input": x.numpy()})
    assert found.shape == expected.shape
    if expected.size:
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("shortcut", ["A", "B"])
@pytest.mark.parametrize(("exporter", "fold"), MODES)
def test_file_equals_module_at_every_batch(
    tmp_path: Path, exporter: Exporter, fold: bool, shortcut: str
) -> None:
    net = small(shortcut)
    file = zoo.export_onnx(net, tmp_path / "x.onnx", (3, 16, 16), exporter=exporter, fold=fold)
    for batch in (1, 2, 5):
        assert_equal(net, file, (batch, 3, 16, 16))
    assert list(tmp_path.iterdir()) == [file]  # no external data, nothing left over
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    counts = Counter(node.op_type for node in model.graph.node)
    norms = sum(isinstance(part, nn.BatchNorm2d) for part in net.modules())
    assert counts["BatchNormalization"] == (0 if fold else norms)
    batch_dim = model.graph.input[0].type.tensor_type.shape.dim[0]
    assert batch_dim.dim_param == "N"


@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_unfolded_files_keep_the_parameters_names(tmp_path: Path, exporter: Exporter) -> None:
    net = small("B")
    file = zoo.export_onnx(net, tmp_path / "x.onnx", (3, 16, 16), exporter=exporter)
    written = {tensor.name for tensor in onnx.load(file).graph.initializer}
    assert {name for name, _ in net.named_parameters()} <= written


@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_batch_may_be_fixed(tmp_path: Path, exporter: Exporter) -> None:
    net = small()
    file = zoo.export_onnx(
        net, tmp_path / "x.onnx", (3, 16, 16), exporter=exporter, dynamic_batch=False
    )
    assert onnx.load(file).graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    assert_equal(net, file, (1, 3, 16, 16))


@pytest.mark.parametrize(
    ("exporter", "opset"), [("torchscript", 10), ("torchscript", 20), ("dynamo", 23)]
)
def test_opset_is_the_one_asked_for(tmp_path: Path, exporter: Exporter, opset: int) -> None:
    net = small()
    file = zoo.export_onnx(
        net, tmp_path / "x.onnx", (3, 16, 16), exporter=exporter, opset=opset, fold=True
    )
    opsets = {o.domain: o.version for o in onnx.load(file).opset_import}
    assert opsets[""] == opset
    assert_equal(net, file, (2, 3, 16, 16))


def test_resnet18_by_name(tmp_path: Path) -> None:
    file = zoo.export("resnet18", tmp_path / "x.onnx", seed=2, size=64, classes=9)
    assert_equal(zoo.build("resnet18", 2, size=64, classes=9), file, (2, 3, 64, 64))


def test_the_module_is_left_as_it_was(tmp_path: Path) -> None:
    net = small().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    file = zoo.export_onnx(net, tmp_path / "x.onnx", (3, 16, 16))
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert_equal(net.eval(), file, (2, 3, 16, 16))


@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_exporters_are_quiet(
    tmp_path: Path, exporter: Exporter, capfd: pytest.CaptureFixture[str]
) -> None:
    zoo.export_onnx(small(), tmp_path / "x.onnx", (3, 16, 16), exporter=exporter)
    assert capfd.readouterr() == ("", "")


def test_an_existing_file_is_overwritten_only_with_force(tmp_path: Path) -> None:
    file = tmp_path / "x.onnx"
    file.write_text("precious")
    with pytest.raises(FileError, match="--force"):
        zoo.export_onnx(small(), file, (3, 16, 16))
    assert file.read_text() == "precious"
    zoo.export_onnx(small(), file, (3, 16, 16), force=True)
    assert onnx.load(file).graph.node


def test_weights_next_to_the_file_are_overwritten_only_with_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module("hydrafy.zoo.export"), "LARGE", 0)
    file, data = tmp_path / "x.onnx", tmp_path / "x.onnx.data"
    data.write_text("precious")
    with pytest.raises(FileError, match=r"x\.onnx\.data exists.*--force"):
        zoo.export_onnx(small(), file, (3, 16, 16), exporter="dynamo")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["precious"]
    zoo.export_onnx(small(), file, (3, 16, 16), exporter="dynamo", force=True)
    assert_equal(small(), file, (2, 3, 16, 16))


class Unknown(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.special.bessel_j0(x)


@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_a_failed_export_is_one_sentence_and_leaves_no_file(
    tmp_path: Path, exporter: Exporter
) -> None:
    with pytest.raises(ModelError, match="cannot export Unknown") as caught:
        zoo.export_onnx(Unknown(), tmp_path / "x.onnx", (3, 4, 4), exporter=exporter)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_wrong_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="did you mean 'dynamo'"):
        zoo.export("resnet8", tmp_path / "x.onnx", exporter="dynmo")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="dynamo writes 18 to 23"):
        zoo.export("resnet8", tmp_path / "x.onnx", exporter="dynamo", opset=17)
    with pytest.raises(OptionError, match="did you mean 'classes'"):
        zoo.export("resnet8", tmp_path / "x.onnx", clases=3)
    assert list(tmp_path.iterdir()) == []
