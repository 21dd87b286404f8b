"""A file, images and labels become a trained program, whose pixels are what the file says."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hydrafy.errors import DataError
from hydrafy.runtime.finetune import finetune


@pytest.mark.parametrize(("kind", "whose"), [(np.uint8, "as given"), (np.float32, None)])
def test_a_plain_file_is_read_and_trained(
    zoo_file: Callable[..., Path], tmp_path: Path, kind: type, whose: str | None
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 3, 16, 16)).astype(kind)
    np.savez(tmp_path / "data.npz", x=pixels, y=np.arange(20) % 10)
    words = {"mean": (0.5,), "std": (0.25,), "epochs": 1, "batch_size": 10}
    found = finetune(zoo_file("resnet8"), tmp_path / "data.npz", **words)
    assert (found.images, found.normalisation) == (20, whose)
    assert len(found.history.epochs) == 1
    manifest = found.program.manifest
    assert (manifest.stage, manifest.journal[-1].by) == ("static", "finetune")
    recorded = manifest.normalisation
    assert (recorded and recorded.mean) == (whose and (0.5,) * 3)


def test_the_number_of_classes_is_the_files(zoo_file: Callable[..., Path], tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.zeros((2, 3, 16, 16), np.uint8), y=np.array([0, 10]))
    with pytest.raises(DataError, match="10 classes"):
        finetune(zoo_file("resnet8"), tmp_path / "data.npz", epochs=1)
