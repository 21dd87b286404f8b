"""What two processes of a training do, each a run of this file: see `test_across.py`."""

import json
import sys
from pathlib import Path

import torch

from hydrafy.train.fit import fit
from hydrafy.train.history import Epoch, Step
from hydrafy.train.importer import to_torch
from hydrafy.train.losses import Losses
from tests.train.problems import examples, options
from tests.train.programs import dynamic


def train(devices: int, folder: Path, count: int = 97, judged: int = 41) -> None:
    """Trains, and writes the losses of each step and the weights at the end."""
    torch.set_num_threads(1)
    program = dynamic(k=2)
    module, steps = to_torch(program), []

    def watch(event: Step | Epoch) -> None:
        if isinstance(event, Step):
            steps.append(
                [event.loss, event.accuracy, *event.terms.values(), *event.rates["picked"]]
            )

    history = fit(
        module,
        Losses.of(program),
        examples(count),
        options(2, 32, devices=devices, accelerator="cpu", learning_rate=0.01, clip=5.0),
        validation=examples(judged, 1),
        decisions=["picked"],
        watch=watch,
    )
    if steps:  # only the first process is told
        found = [e.validation for e in history.epochs]
        validations = [[v.images, v.loss, v.top1, v.top5, *v.rates["picked"]] for v in found if v]
        (folder / "steps.json").write_text(json.dumps([steps, validations]))
        torch.save(module.state_dict(), folder / "weights.pt")


if __name__ == "__main__":
    train(int(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
