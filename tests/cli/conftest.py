"""A tiny network on every step of the road, made once by the verbs themselves."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from hydrafy.cli import main

Invoke = Callable[..., Result]


@pytest.fixture(scope="session", autouse=True)
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No settings of the user: nothing may depend on a latency model that was fitted here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("settings")))
        yield


@pytest.fixture(scope="session")
def hydrafy() -> Invoke:
    def invoke(*words: object) -> Result:
        return CliRunner().invoke(main, [str(word) for word in words])

    return invoke


@pytest.fixture(scope="session")
def road(hydrafy: Invoke, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of the road by name: static, dynamic, tuned, lowered, and an image."""
    folder = tmp_path_factory.mktemp("road")
    names = ("static", "dynamic", "tuned", "lowered")
    files = {name: folder / f"{name}.onnx" for name in names}
    small = ["--set", "width=8", "--set", "size=16", "--set", "channels=1"]
    few = ["--set", "branches=3", "--set", "k=2", "--set", "split=stage2"]
    train = ["--data", "digits", "--epochs", "1", "--batch-size", "256"]
    steps = [
        ("zoo", "resnet8", *small, "-o", files["static"]),
        ("convert", files["static"], "--recipe", "dynk", *few, "-o", files["dynamic"]),
        ("finetune", files["dynamic"], *train, "-o", files["tuned"]),
        ("lower", files["tuned"], "-o", files["lowered"]),
    ]
    for step in steps:
        done = hydrafy(*step)
        assert done.exit_code == 0, (step, done.stderr)
    files["image"] = folder / "image.npy"
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 1), dtype=np.uint8)
    np.save(files["image"], image)
    return files
