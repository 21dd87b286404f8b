"""A file whose statistics are wrong gets right ones from its training images."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hydrafy.errors import DataError, ModelError, OptionError
from hydrafy.execute.session import Session
from hydrafy.ir.program import Program
from hydrafy.runtime.convert import convert
from hydrafy.runtime.images import IMAGENET
from hydrafy.runtime.lower import lower_program
from hydrafy.runtime.read import read
from hydrafy.runtime.recalibrate import recalibrate


@pytest.fixture(scope="module")
def small(data: Path) -> dict[str, Any]:
    """The images of cifar10_small as bytes."""
    spec = importlib.util.spec_from_file_location("load", data / "load.py")
    assert spec is not None and spec.loader is not None
    load = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(load)
    found: dict[str, Any] = load.load_small(data / "cifar10_small.npz")
    return found


def accuracy(program: Program, small: dict[str, Any]) -> float:
    x = IMAGENET.apply(small["x_test"].transpose(0, 3, 1, 2).astype(np.float32) / 255)
    scores = next(iter(Session(program).run({"input": x}).values()))
    return float((scores.argmax(1) == small["label_test"]).mean())


def disturb(program: Program) -> None:
    """Moves means by half a standard deviation or so, and variances by a factor of two or so."""
    rng = np.random.default_rng(0)
    for name in list(program.graph.initializers):
        if name.endswith("running_var"):
            var = program.weight(name)
            mean = program.weight(name.replace("_var", "_mean"))
            moved = mean + 0.5 * np.sqrt(var) * rng.standard_normal(var.shape)
            program.set_weight(name.replace("_var", "_mean"), moved.astype(np.float32))
            program.set_weight(name, (var * 2 ** rng.normal(0, 1, var.shape)).astype(np.float32))


def test_a_pretrained_network_recovers_from_wrong_statistics(
    data: Path, small: dict[str, Any], tmp_path: Path
) -> None:
    program = read(data / "models" / "resnet20_cifar10.onnx")
    assert accuracy(program, small) == 0.91
    disturb(program)
    assert accuracy(program, small) < 0.5
    program.save(tmp_path / "wrong.onnx")
    order = np.argsort(small["label_train"], kind="stable")  # one class after the other
    np.savez(tmp_path / "train.npz", x=small["x_train"][order])
    files, seen = (tmp_path / "wrong.onnx", tmp_path / "train.npz"), []
    found = recalibrate(*files, augment=("crop",), progress=lambda *at: seen.append(at))
    assert accuracy(found.program, small) >= 0.91
    assert accuracy(recalibrate(*files).program, small) < 0.9  # it learnt with black borders
    assert len(found.drifts) == 19 and found.images == 2000 and seen[-1] == (2000, 2000)
    assert min(d.mean for d in found.drifts) > 0.1
    weights = set(program.graph.initializers)
    assert {n for n in weights if (program.weight(n) != found.program.weight(n)).any()} == {
        n for n in weights if "running" in n
    }


def test_a_dynamic_file_can_still_be_lowered(zoo_file: Callable[..., Path], tmp_path: Path) -> None:
    convert(zoo_file("resnet8"), "dynk", branches=3, k=2, split="stage2").save(tmp_path / "d.onnx")
    images = np.random.default_rng(0).integers(0, 256, (40, 3, 16, 16)).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x=images)
    found = recalibrate(tmp_path / "d.onnx", tmp_path / "data.npz", batches=3, batch_size=9)
    assert found.images == 27 and found.normalisation is not None
    assert {d.layer.partition(".")[0] for d in found.drifts} >= {"branches", "gate", "combiner"}
    lowered, _ = lower_program(found.program)
    with pytest.raises(ModelError, match="lowered"):
        lowered.save(tmp_path / "lowered.onnx")
        recalibrate(tmp_path / "lowered.onnx", tmp_path / "data.npz")


def test_what_makes_no_sense_is_refused(zoo_file: Callable[..., Path], tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", x=np.zeros((1, 3, 16, 16), np.uint8))
    with pytest.raises(DataError, match="no images"):
        recalibrate(zoo_file("resnet8"), tmp_path / "one.npz")
    for option, value in (("batches", 0), ("batch_size", 1)):
        with pytest.raises(OptionError, match=f"{option} = {value}"):
            recalibrate(zoo_file("resnet8"), tmp_path / "one.npz", **{option: value})
    with pytest.raises(OptionError, match="crop"):
        recalibrate(zoo_file("resnet8"), tmp_path / "one.npz", augment=("corp",))
    with pytest.raises(ModelError, match=r"no BatchNormalization .*--restore-batchnorm"):
        recalibrate(zoo_file("resnet8", fold=True), tmp_path / "one.npz")
