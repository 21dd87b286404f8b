"""A source is a file, or a network of timm's, for which timm is needed."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hydrafy.errors import OptionError
from hydrafy.runtime.pretrained import static, timm_name


def test_names() -> None:
    assert timm_name("timm:resnet50.a1_in1k") == "resnet50.a1_in1k"
    assert timm_name(Path("timm:a/b")) == "a/b"
    assert timm_name("folder/timm.onnx") is None


def test_a_network_must_be_named() -> None:
    with pytest.raises(OptionError, match="name a network of timm"):
        timm_name("timm:")


def test_a_file_is_read(zoo_file: Callable[..., Path]) -> None:
    with static(zoo_file("resnet8")) as program:
        assert program.stage == "static" and program.manifest.normalisation is None


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(OptionError, match=r"hydrafy\[timm\]"), static("timm:resnet50"):
        pass
