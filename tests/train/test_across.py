"""Two processes that share each batch train as one does that has it all."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.train.two import train

ROOT = Path(__file__).parents[2]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.mark.parametrize(
    ("launcher", "counts"),
    [([], (98, 1)), (TORCHRUN, (101, 41))],  # two images are left over, and one is judged
    ids=["--devices", "torchrun"],
)
def test_two_processes_get_the_losses_of_one_with_the_doubled_batch(
    launcher: list[str], counts: tuple[int, int], tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    train(1, one, *counts)
    devices = "1" if launcher else "2"  # torchrun says how many there are
    script = ROOT / "tests/train/two.py"
    command = [sys.executable, *launcher, str(script), devices, str(two), *map(str, counts)]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (steps, validations), (wanted, judged) = (
        json.loads((folder / "steps.json").read_text()) for folder in (two, one)
    )
    np.testing.assert_allclose(steps, wanted, rtol=1e-5)
    np.testing.assert_allclose(validations, judged, rtol=1e-5)
    found, alone = (torch.load(folder / "weights.pt") for folder in (two, one))
    assert found.keys() == alone.keys()
    for name, tensor in alone.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-5, atol=1e-5, msg=name)
