"""`hydrafy convert timm:NAME` exports a pretrained network first, and does not leave it behind."""

from pathlib import Path

import pytest

from hydrafy import zoo
from hydrafy.ir.manifest import Normalisation
from hydrafy.ir.program import Program
from hydrafy.zoo import timm
from tests.cli.conftest import Invoke

NORM = Normalisation((0.5, 0.4, 0.3), (0.2, 0.2, 0.1))
written: list[Path] = []


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """timm brings torchvision, which cannot be installed here: a network of ours stands in."""

    def export(name: str, path: Path) -> timm.Exported:
        assert name == "hub/resnet8.a1_in1k"
        written.append(path)
        zoo.export("resnet8", path, width=8, size=16)
        return timm.Exported(path, NORM, (3, 16, 16), 10)

    monkeypatch.setattr(timm, "export", export)


def test_timms_network_is_exported_and_converted(
    stand_in: None, hydrafy: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    few = ("--recipe", "dynk", "--set", "branches=3", "--set", "k=2")
    done = hydrafy("convert", "timm:hub/resnet8.a1_in1k", *few)
    assert done.exit_code == 0, done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["resnet8.a1_in1k.dynk.onnx"]
    made = Program.load("resnet8.a1_in1k.dynk.onnx")
    assert made.stage == "dynamic" and made.manifest.normalisation == NORM
    assert made.manifest.source == "timm:hub/resnet8.a1_in1k"
    assert not written[-1].parent.exists()
    again = hydrafy("convert", "timm:hub/resnet8.a1_in1k", *few)
    assert again.exit_code == 2 and "exists" in again.stderr and len(written) == 1
    other = hydrafy("convert", "timm:hub/resnet8.a1_in1k", *few, "--mean", "0", "-o", "o.onnx")
    assert other.exit_code == 2 and "records its own normalisation" in other.stderr
