"""What other frameworks export is read as what they computed, in our one form."""

from pathlib import Path

import numpy as np
import pytest

from hydrafy.execute.session import Session
from hydrafy.runtime.read import read

FOLDER = Path(__file__).parent
NAMES = sorted(file.stem for file in FOLDER.glob("*.onnx"))


@pytest.mark.parametrize("name", NAMES)
def test_it_computes_what_the_framework_did(name: str) -> None:
    program = read(FOLDER / f"{name}.onnx")
    with np.load(FOLDER / f"{name}.npz") as saved:
        x, y = saved["x"], saved["y"]
    scale = np.abs(y).max()
    assert y.std(axis=0).max() > 0.05 * scale  # the images differ, and so must their results
    found = Session(program, threads=1).run({program.data_inputs[0].name or "": x})
    (result,) = found.values()
    assert result.shape == y.shape
    assert np.abs(result - y).max() <= 1e-5 * scale
