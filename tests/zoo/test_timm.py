"""Pretrained networks come from timm: from the real one where it is, else from a stand-in."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from hydrafy.errors import FileError, HydrafyError, ModelError, OptionError
from hydrafy.zoo.timm import export

STANDIN = Path(__file__).parent / "standin"


@pytest.fixture(scope="module")
def timm(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """timm with the network `hydrafy_tiny`, pretrained in three ways: here, gone and a trunk."""
    try:
        import timm as real
    except ImportError:
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(STANDIN)
            patch.delitem(sys.modules, "timm", raising=False)
            import timm as standin

            yield standin
            del sys.modules["timm"]
        return
    _register(tmp_path_factory.mktemp("weights"))
    yield real


def _register(folder: Path) -> None:
    from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
    from timm.models.resnet import BasicBlock, ResNet

    def hydrafy_tiny(pretrained: bool = False, **options: Any) -> Any:
        shape = {"block": BasicBlock, "layers": (1, 1, 1, 1), "channels": (8,) * 4}
        return build_model_with_cfg(ResNet, "hydrafy_tiny", pretrained, **shape, **options)

    images = {"input_size": (3, 40, 48), "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
    images |= {"classifier": "fc", "first_conv": "conv1"}
    weights = {tag: str(folder / tag) for tag in ("here", "gone", "trunk")}
    tags = {"here": 7, "gone": 7, "trunk": 0}
    here = sys.modules[hydrafy_tiny.__module__]
    here.default_cfgs = generate_default_cfgs(  # type: ignore[attr-defined]
        {
            f"hydrafy_tiny.{tag}": {**images, "file": weights[tag], "num_classes": classes}
            for tag, classes in tags.items()
        }
    )
    register_model(hydrafy_tiny)
    for tag in ("here", "trunk"):
        torch.save(hydrafy_tiny(num_classes=tags[tag]).state_dict(), weights[tag])


def test_a_pretrained_network_is_written_with_what_its_images_need(
    timm: Any, tmp_path: Path
) -> None:
    found = export("hydrafy_tiny.here", tmp_path / "x.onnx")
    assert found.file == tmp_path / "x.onnx"
    assert (found.input_shape, found.classes) == ((3, 40, 48), 7)
    assert found.normalisation.mean == (0.1, 0.2, 0.3)
    assert found.normalisation.std == (0.4, 0.5, 0.6)
    nodes = {node.op_type for node in onnx.load(found.file).graph.node}
    assert "BatchNormalization" in nodes  # not folded: it is to be trained on
    x = np.random.default_rng(0).normal(size=(2, *found.input_shape)).astype(np.float32)
    model = timm.create_model("hydrafy_tiny.here", pretrained=True, exportable=True).eval()
    with torch.no_grad():
        wanted = model(torch.from_numpy(x)).numpy()
    (logits,) = onnxruntime.InferenceSession(str(found.file)).run(None, {"input": x})
    assert np.abs(logits - wanted).max() <= 1e-4 * np.abs(wanted).max()


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("hydrafy_tiny.her", OptionError, "the nearest are hydrafy_tiny.here"),
        ("zzz", OptionError, "'zzz': the nearest are "),
        ("hydrafy_tiny.gone", FileError, "cannot be had .*: check the connection"),
        ("hydrafy_tiny.trunk", ModelError, "no classifier"),
    ],
)
@pytest.mark.usefixtures("timm")
def test_what_cannot_be_had_is_one_sentence(
    name: str, kind: type[HydrafyError], said: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=said) as caught:
        export(name, tmp_path / "x.onnx")
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 500
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "x.onnx"
    file.write_text("precious")
    with pytest.raises(FileError, match="--force"):
        export("hydrafy_tiny.here", file)
    assert file.read_text() == "precious"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (None, r"need the package timm: pip install 'hydrafy\[timm\]'"),
        ("import torchvision_of_another_torch", "need the package torchvision_of_another_torch"),
        (
            "raise RuntimeError('operator torchvision::nms does not exist')",
            "torchvision::nms does not exist.*install the torchvision that fits",
        ),
    ],
)
def test_a_timm_that_cannot_be_loaded(
    source: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path] if source else [str(tmp_path)])
    if source:
        (tmp_path / "timm.py").write_text(source)
    with pytest.raises(OptionError, match=said):
        export("resnet50", tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()
