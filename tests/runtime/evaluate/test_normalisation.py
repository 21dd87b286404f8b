"""Each file's pixels go through its own normalisation, or that of what was made from it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hydrafy.errors import DataError
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import Manifest, Normalisation
from hydrafy.runtime.convert import convert
from hydrafy.runtime.evaluate import evaluate
from hydrafy.runtime.read import read
from hydrafy.train.data import Data


def test_a_source_gets_the_normalisation_of_what_was_made_from_it(
    zoo_file: Callable[..., Path], tmp_path: Path
) -> None:
    norm = {"mean": (0.2, 0.3, 0.4), "std": (0.5, 0.6, 0.7)}
    source, other = zoo_file("resnet8"), zoo_file("resnet8", seed=1)
    made = convert(source, "bypass", **norm).save(tmp_path / "made.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 3, 16, 16), np.uint8)
    images, said = Data(pixels, np.arange(40) % 10), list[str]()
    together = evaluate([source, made, other], images, batches=(), say=said.append)
    alone = evaluate([source, other], images, batches=(), **norm)
    assert [one.classes for one in together.results] != [one.classes for one in alone.results]
    assert together.results[0].classes == alone.results[0].classes
    assert together.results[2] == evaluate(other, images, batches=()).results[0]
    assert any(f"{source}: " in line and "made from it" in line for line in said)


def test_each_file_has_its_own_normalisation(zoo_file: Callable[..., Path], tmp_path: Path) -> None:
    """The same network twice, once with the normalisation in the file, once given beside it."""
    norm = Normalisation((0.3, 0.4, 0.5), (0.2, 0.3, 0.1))
    recorded = read(zoo_file("resnet8"))
    recorded.manifest = Manifest(**{**vars(recorded.manifest), "normalisation": norm})
    file = recorded.save(tmp_path / "recorded.onnx")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
    scores = Session(file).run(
        {"input": norm.apply(pixels.transpose(0, 3, 1, 2) / np.float32(255))}
    )
    np.savez(tmp_path / "x.npz", x=pixels, y=scores["logits"].argmax(1))
    words = {"mean": norm.mean, "std": norm.std}
    found = evaluate([zoo_file("resnet8"), file], tmp_path / "x.npz", batches=(), **words)
    assert [one.top1 for one in found.results] == [1, 1]
    assert evaluate(file, tmp_path / "x.npz", batches=()).results[0].top1 == 1
    assert evaluate(zoo_file("resnet8"), tmp_path / "x.npz", batches=()).results[0].top1 < 1
    with pytest.raises(DataError, match="leave out --mean and --std"):
        evaluate(file, tmp_path / "x.npz", batches=(), **words)
